import 'reflect-metadata';
import { EventEmitter, on } from 'node:events';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  type RmqContext,
  type RmqOptions,
  RpcException,
  Transport,
} from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';

/**
 * A NestJS client and NestJS services with nothing but a broker between them; what came of it goes to stdout as JSON.
 * Environment: AMQP_URL, WRONG_PASSWORD_URL, QUEUE of the one service, and EXCHANGE and PATTERN_QUEUE of the other,
 * which listens by pattern.
 */
const { AMQP_URL = '', WRONG_PASSWORD_URL = '', QUEUE = '', EXCHANGE = '', PATTERN_QUEUE = '' } = process.env;

type Options = NonNullable<RmqOptions['options']>;

interface Event {
  pattern: string;
  text: string;
  redelivered: boolean;
}

const arrivals = new EventEmitter();

@Controller()
class Service {
  @MessagePattern('sum')
  sum(@Payload() numbers: number[], @Ctx() context: RmqContext): number {
    context.getChannelRef().ack(context.getMessage());
    return numbers.reduce((total, number) => total + number, 0);
  }

  @MessagePattern('fail')
  fail(@Ctx() context: RmqContext): never {
    context.getChannelRef().ack(context.getMessage());
    throw new RpcException('the service failed');
  }

  /** Not ready for an event when it comes first. Of Nest's own types, this decorator takes a context as `unknown` alone. */
  @EventPattern(['note', 'log.*'])
  take(@Payload() text: string, @Ctx() given: unknown): void {
    const context = given as RmqContext;
    const { redelivered } = context.getMessage().fields;
    if (redelivered) context.getChannelRef().ack(context.getMessage());
    else context.getChannelRef().nack(context.getMessage());
    arrivals.emit('event', { pattern: context.getPattern(), text, redelivered } satisfies Event);
  }
}

@Module({ controllers: [Service] })
class AppModule {}

const onQueue = { urls: [AMQP_URL], queue: QUEUE, queueOptions: { durable: true } };
const byPattern = { ...onQueue, queue: PATTERN_QUEUE, exchange: EXCHANGE, wildcards: true };

async function serve(options: Options): Promise<{ close(): Promise<void> }> {
  const service = await NestFactory.createMicroservice(AppModule, {
    transport: Transport.RMQ,
    options: { ...options, noAck: false },
    logger: false,
  });
  await service.listen();
  return service;
}

const client = (options: Options) => ClientProxyFactory.create({ transport: Transport.RMQ, options });
const failure = (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'nothing failed',
    (error) => error.err?.message ?? error.message ?? error,
  );

async function main(): Promise<void> {
  const wrongPassword = await failure(client({ ...onQueue, urls: [WRONG_PASSWORD_URL] }).connect());
  const services = [await serve(onQueue), await serve(byPattern)];
  const [caller, announcer] = [client(onQueue), client(byPattern)];
  const received = on(arrivals, 'event');
  const event = async (): Promise<Event> => (await received.next()).value[0];

  const sum = await lastValueFrom(caller.send('sum', [1, 2, 3]));
  const failed = await failure(lastValueFrom(caller.send('fail', {})));
  const unknown = await failure(lastValueFrom(caller.send('unknown', {})));
  await lastValueFrom(caller.emit('note', 'by its queue'));
  const note = [await event(), await event()];
  await lastValueFrom(announcer.emit('log.error', 'by an exchange'));
  const log = [await event(), await event()];

  for (const one of [caller, announcer, ...services]) await one.close();
  process.stdout.write(JSON.stringify({ wrongPassword, sum, failed, unknown, note, log }));
}

void main();
