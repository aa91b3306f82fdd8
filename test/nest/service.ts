import 'reflect-metadata';
import { Controller, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type ClientProxy, ClientsModule, MessagePattern, Payload, Transport } from '@nestjs/microservices';

/**
 * A NestJS microservice as a team has it, unaware of the gateway: it listens on its queue and emits its answers to
 * another. Environment: AMQP_URL, API_QUEUE, WS_QUEUE, and STYLE: `event` emits, `rpc` returns.
 */
const { AMQP_URL = '', API_QUEUE = '', WS_QUEUE = '', STYLE = 'event' } = process.env;

interface Message {
  prompt: string;
  metadata: unknown;
}

@Controller()
class PromptController {
  constructor(@Inject('REPLIES') private readonly replies: ClientProxy) {}

  @MessagePattern({ cmd: 'send' })
  answer(@Payload() { prompt, metadata }: Message): unknown {
    const result = { prompt, answeredBy: 'nest' };
    if (prompt === 'fail') throw new Error('the service failed');
    if (STYLE === 'rpc') return result;
    this.replies.emit({ cmd: 'recv' }, { ...result, metadata });
    return undefined;
  }
}

@Module({
  imports: [
    ClientsModule.register([
      {
        name: 'REPLIES',
        transport: Transport.RMQ,
        options: { urls: [AMQP_URL], queue: WS_QUEUE, queueOptions: { durable: true }, persistent: true },
      },
    ]),
  ],
  controllers: [PromptController],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createMicroservice(AppModule, {
    transport: Transport.RMQ,
    options: { urls: [AMQP_URL], queue: API_QUEUE, queueOptions: { durable: true } },
    logger: ['error', 'warn'],
  });
  await app.listen();
  process.stdout.write('listening\n');
}

void main();
