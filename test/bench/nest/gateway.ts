import 'reflect-metadata';
import { createServer } from 'node:http';
import { Controller, Inject, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientsModule,
  Ctx,
  EventPattern,
  Payload,
  type RmqContext,
  Transport,
} from '@nestjs/microservices';
import { IoAdapter } from '@nestjs/platform-socket.io';
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
} from '@nestjs/websockets';
import { lastValueFrom } from 'rxjs';

/**
 * The NestJS gateway that this product replaces: Socket.IO in front, an RMQ client to the queue of the services, an RMQ
 * microservice on the queue of replies, and between them a map of the sockets of this process. Environment: PORT,
 * AMQP_URL, API_QUEUE, WS_QUEUE, and PROMISE. `none` is as people run it, with Nest's defaults: a message is
 * acknowledged to the client as soon as Nest has it, is not persistent, and a reply is off the queue before it is
 * emitted. `same` is what the same promise takes here: persistent, acknowledged to the client once RabbitMQ has
 * confirmed it, and a reply acknowledged once it is emitted.
 */
const { PORT = '', AMQP_URL = '', API_QUEUE = '', WS_QUEUE = '', PROMISE = 'none' } = process.env;
const keeps = PROMISE === 'same';

interface Message {
  id: string;
  prompt: string;
}

type Reply = Message & { metadata: { socket_id: string } };

/** The part of Socket.IO's that is used. */
interface Socket {
  id: string;
  emit(event: string, data: unknown): void;
}

const rmq = (queue: string) => ({
  urls: [AMQP_URL],
  queue,
  queueOptions: { durable: true },
  // Nest leaves Nagle's algorithm on; who has measured turns it off.
  ...(keeps ? { socketOptions: { connectionOptions: { noDelay: true } } } : {}),
});

@WebSocketGateway(Number(PORT))
class Gateway implements OnGatewayConnection, OnGatewayDisconnect {
  readonly sockets = new Map<string, Socket>();

  constructor(@Inject('SERVICES') private readonly services: ClientProxy) {}

  handleConnection(socket: Socket): void {
    this.sockets.set(socket.id, socket);
  }

  handleDisconnect(socket: Socket): void {
    this.sockets.delete(socket.id);
  }

  @SubscribeMessage('send')
  async send(@MessageBody() message: Message, @ConnectedSocket() socket: Socket): Promise<string> {
    const request = { ...message, metadata: { socket_id: socket.id, websocket_service: 'nest' } };
    const emitting = this.services.emit({ cmd: 'send' }, request);
    // Nest's client completes it when RabbitMQ has confirmed the message.
    if (keeps) await lastValueFrom(emitting);
    return 'sent';
  }
}

@Controller()
class Replies {
  constructor(@Inject(Gateway) private readonly gateway: Gateway) {}

  @EventPattern({ cmd: 'recv' })
  deliver(@Payload() { metadata, ...reply }: Reply, @Ctx() given: unknown): void {
    this.gateway.sockets.get(metadata.socket_id)?.emit('recv', reply);
    const context = given as RmqContext;
    if (keeps) context.getChannelRef().ack(context.getMessage());
  }
}

@Module({
  imports: [
    ClientsModule.register([
      { name: 'SERVICES', transport: Transport.RMQ, options: { ...rmq(API_QUEUE), persistent: keeps } },
    ]),
  ],
  controllers: [Replies],
  providers: [Gateway],
})
class AppModule {}

/** Nest's own listens on all addresses; Socket.IO takes a server of Node's as well as a port. */
class LoopbackAdapter extends IoAdapter {
  override createIOServer(...[port, options]: Parameters<IoAdapter['createIOServer']>) {
    const server = createServer().listen(port, '127.0.0.1');
    return super.createIOServer(server as unknown as number, options);
  }
}

async function main(): Promise<void> {
  const app = await NestFactory.createMicroservice(AppModule, {
    transport: Transport.RMQ,
    options: { ...rmq(WS_QUEUE), noAck: !keeps },
    logger: ['error', 'warn'],
  });
  app.useWebSocketAdapter(new LoopbackAdapter(app));
  await app.listen();
  process.send?.('ready');
}

process.on('disconnect', () => process.exit());
void main();
