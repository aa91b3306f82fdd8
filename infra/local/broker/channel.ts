import { basicMethods } from './channel-basic';
import { exchangeMethods } from './channel-exchange';
import { publish, publishMethods, type Transaction } from './channel-publish';
import { queueMethods } from './channel-queue';
import { decodeMethod, encodeMethod, methodId } from './codec';
import type { QueueConsumer } from './consumers';
import { ContentReader } from './content';
import type { DeliveryMethod } from './delivery-method';
import { AmqpError, causedBy, channelError, commandInvalid, notImplemented } from './errors';
import { contentFrames, FRAME_METHOD, type Frame, frame } from './framing';
import type { Message } from './message';
import type { Arguments, Method, MethodName } from './methods';
import { type Entry, type Queue, resumeByTurns } from './queue';
import type { ReplyConsumer, VirtualHost } from './virtual-host';

/**
 * A channel: takes the frames of one channel number, runs their methods one after the other, and owns what
 * must be given back when it ends: consumers and unsettled messages. What a method does stands in the
 * channel-*.ts file of its class.
 */

/** What a channel needs of its connection, which is also the owner of exclusive queues. */
export interface ChannelConnection {
  readonly virtualHost: VirtualHost;
  readonly userId: string;
  readonly maxFrameBytes: number;
  readonly maxMessageBytes: number;
  /** Whether the client understands a cancel that the server sends. */
  readonly takesCancel: boolean;
  send(bytes: Buffer): void;
  /** False while the client reads slower than it is sent to. */
  canDeliver(): boolean;
  /** False once so much waits for the client that even answers to its methods do. */
  canReply(): boolean;
  /** Calls `flushConfirms` once all that was read is handled, so that many publishes get one acknowledgement. */
  flushLater(channel: Channel): void;
  channelEnded(number: number): void;
}

export type Handlers = {
  readonly [N in MethodName]?: (channel: Channel, args: Arguments<N>) => void;
};

export interface ChannelConsumer extends QueueConsumer {
  readonly queue: Queue;
  readonly noAck: boolean;
  readonly method: DeliveryMethod;
  unsettled: number;
}

/** A message that the client holds; without a consumer when it came by basic.get. */
export interface Unsettled {
  readonly entry: Entry;
  readonly queue: Queue;
  readonly consumer: ChannelConsumer | undefined;
}

const channelMethods: Handlers = {
  'channel.open'() {
    throw channelError("second 'channel.open' seen");
  },
  'channel.flow'(channel, { active }) {
    if (!active) throw notImplemented('active=false');
    channel.reply('channel.flow-ok', { active });
  },
  'channel.close'(channel) {
    channel.end();
    channel.reply('channel.close-ok', {});
  },
  'access.request': (channel) => channel.reply('access.request-ok', { ticket: 1 }),
};

const HANDLERS: Handlers = {
  ...channelMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...basicMethods,
  ...publishMethods,
};

export class Channel implements ReplyConsumer {
  readonly number: number;
  readonly connection: ChannelConnection;
  readonly consumers = new Map<string, ChannelConsumer>();
  /** By delivery tag, in the order of delivery. */
  unsettled = new Map<number, Unsettled>();
  mode: 'plain' | 'confirm' | 'tx' = 'plain';
  transaction: Transaction = { publishes: [], settlements: [] };
  /** The queue that an empty name stands for. */
  lastQueue: string | undefined;
  prefetchPerConsumer = 0;
  prefetchPerChannel = 0;
  /** Unsettled messages of consumers: those of basic.get do not count against the channel's prefetch. */
  unsettledByConsumers = 0;
  replyConsumer: { readonly tag: string; readonly address: string; readonly method: DeliveryMethod } | undefined;
  /** `closing`: the client was told of an error and has not answered yet; until then its methods are ignored. */
  private state: 'open' | 'closing' | 'ended' = 'open';
  private turn = 0;
  private nextDeliveryTag = 1;
  private nextConfirm = 1;
  private confirms: { kind: 'basic.ack' | 'basic.nack'; from: number; to: number } | undefined;
  private readonly content: ContentReader;
  private lastPublish: { readonly payload: Buffer; readonly method: Method } | undefined;

  constructor(number: number, connection: ChannelConnection) {
    this.number = number;
    this.connection = connection;
    this.content = new ContentReader(connection.maxMessageBytes, connection.virtualHost.memory);
    this.reply('channel.open-ok', { channelId: Buffer.alloc(0) });
  }

  get virtualHost(): VirtualHost {
    return this.connection.virtualHost;
  }

  /** @throws AmqpError of connection scope; those of channel scope close the channel and stay here. */
  handle(received: Frame): void {
    if (this.state === 'closing') this.handleWhileClosing(received);
    else if (received.type !== FRAME_METHOD || this.content.reading) this.handleContent(received);
    else this.handleMethod(this.decode(received.payload));
  }

  /** Messages come in runs to the same place: the same bytes, which then are decoded once. */
  private decode(payload: Buffer): Method {
    if (this.lastPublish?.payload.equals(payload)) return this.lastPublish.method;
    const method = decodeMethod(payload);
    if (method.name === 'basic.publish') this.lastPublish = { payload: Buffer.from(payload), method };
    return method;
  }

  private handleMethod({ name, args }: Method): void {
    if (name === 'basic.publish') {
      this.content.start(args);
      return;
    }
    const handler = HANDLERS[name] as ((channel: Channel, args: unknown) => void) | undefined;
    this.run(name, () => {
      if (handler === undefined) throw commandInvalid('unimplemented method');
      handler(this, args);
    });
  }

  reply<N extends MethodName>(name: N, args: Arguments<N>): void {
    this.flushConfirms();
    this.connection.send(frame(FRAME_METHOD, this.number, encodeMethod(name, args)));
  }

  sendContent(method: Buffer, message: Message): void {
    const { maxFrameBytes } = this.connection;
    this.connection.send(contentFrames(this.number, method, message.encodedProperties, message.body, maxFrameBytes));
  }

  /** Whether the channel's prefetch has room for one more message. */
  hasRoom(): boolean {
    return this.prefetchPerChannel === 0 || this.unsettledByConsumers < this.prefetchPerChannel;
  }

  deliver(consumer: ChannelConsumer, entry: Entry): void {
    const { queue } = consumer;
    const deliveryTag = this.hold(consumer.noAck, { entry, queue, consumer });
    const message = queue.type.delivered(entry, 'consume');
    this.sendContent(consumer.method.encode(deliveryTag, entry.returns > 0, message), message);
  }

  deliverReply(message: Message): void {
    // Nobody is promised a direct reply, and no queue holds it back: who does not read what came before gets no more.
    if (this.replyConsumer === undefined || !this.connection.canReply()) return;
    // As in RabbitMQ it has the tag of the next delivery and does not use it up.
    this.sendContent(this.replyConsumer.method.encode(this.nextDeliveryTag, false, message), message);
  }

  /** The tag under which the client settles the message, which with `noAck` it has already. */
  hold(noAck: boolean, held: Unsettled): number {
    const tag = this.nextDeliveryTag++;
    if (noAck) {
      held.queue.forget([held.entry]);
      return tag;
    }
    this.unsettled.set(tag, held);
    if (held.consumer !== undefined) {
      held.consumer.unsettled += 1;
      this.unsettledByConsumers += 1;
    }
    return tag;
  }

  /** The queues that its consumers take from. */
  queues(): Set<Queue> {
    return new Set([...this.consumers.values()].map(({ queue }) => queue));
  }

  /** Gives every consumer's queue a chance, after something made room on the channel. */
  dispatch(): void {
    this.turn += 1;
    resumeByTurns(this.queues(), this.turn);
  }

  /** Confirms the next publish; they are numbered from the select. */
  confirm(kind: 'basic.ack' | 'basic.nack'): void {
    const number = this.nextConfirm++;
    if (this.confirms?.kind === kind) {
      this.confirms.to = number;
      return;
    }
    this.flushConfirms();
    this.confirms = { kind, from: number, to: number };
    this.connection.flushLater(this);
  }

  flushConfirms(): void {
    if (this.confirms === undefined) return;
    const { kind, from, to } = this.confirms;
    this.confirms = undefined;
    const deliveryTag = BigInt(to);
    // A refusal is RabbitMQ's down to the bits that mean nothing: all up to its tag is confirmed anyway, and a
    // publisher requeues nothing.
    const method =
      kind === 'basic.ack'
        ? encodeMethod(kind, { deliveryTag, multiple: to > from })
        : encodeMethod(kind, { deliveryTag, multiple: true, requeue: true });
    this.connection.send(frame(FRAME_METHOD, this.number, method));
  }

  /** Gives everything back; sends nothing. */
  end(): void {
    if (this.state === 'ended') return;
    const told = this.state === 'closing';
    this.state = 'ended';
    if (!told) this.giveBack();
    this.connection.channelEnded(this.number);
  }

  private giveBack(): void {
    const { address } = this.replyConsumer ?? {};
    if (address !== undefined) this.virtualHost.replyConsumers.delete(address);
    const leaving = new Map<Queue, { consumers: ChannelConsumer[]; entries: Entry[] }>();
    const of = (queue: Queue) => {
      const known = leaving.get(queue) ?? { consumers: [], entries: [] };
      leaving.set(queue, known);
      return known;
    };
    for (const consumer of this.consumers.values()) of(consumer.queue).consumers.push(consumer);
    for (const { queue, entry } of this.unsettled.values()) of(queue).entries.push(entry);
    for (const { held } of this.transaction.settlements) of(held.queue).entries.push(held.entry);
    for (const { message } of this.transaction.publishes) this.virtualHost.memory.release(message);
    this.content.abandon();
    this.consumers.clear();
    this.unsettled.clear();
    for (const [queue, { consumers, entries }] of leaving) queue.release(consumers, entries);
  }

  private run(name: MethodName, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AmqpError)) throw error;
      // RabbitMQ names no method when it stumbles itself.
      if (error.scope !== 'channel') throw error.code === 541 ? error : causedBy(name, error);
      this.flushConfirms();
      this.giveBack();
      this.state = 'closing';
      const { code: replyCode, replyText } = error;
      this.reply('channel.close', { replyCode, replyText, ...methodId(name) });
    }
  }

  private handleWhileClosing(received: Frame): void {
    if (received.type !== FRAME_METHOD) return;
    const { name } = decodeMethod(received.payload);
    if (name === 'channel.close-ok') this.end();
    else if (name === 'channel.close') this.reply('channel.close-ok', {});
    else if (name === 'channel.open') throw causedBy(name, channelError("second 'channel.open' seen"));
  }

  private handleContent(received: Frame): void {
    const content = this.content.take(received);
    if (content === undefined) return;
    this.run('basic.publish', () => publish(this, content));
  }
}
