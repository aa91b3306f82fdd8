import amqp, { type ChannelModel, type ConfirmChannel, type Message, type SocketOptions } from 'amqplib';
import type { OutgoingMessage } from './amqp';

/**
 * One AMQP connection with one confirm channel. A publish settles exactly once: `confirmed` when the broker has taken
 * responsibility for the message and routed it to a queue, otherwise with what is known of it. A link never mends
 * itself: once it is not `usable`, its owner opens another.
 */

export type PublishOutcome =
  | 'confirmed'
  /** The broker has the message and no queue to put it in: returned, and gone. */
  | 'unroutable'
  /** The broker refused it (a full queue that rejects, an internal fault). */
  | 'nacked'
  /** No confirm within the time, or the link broke first: it may have arrived. */
  | 'unknown';

export interface LinkOptions {
  url: string;
  /** Time for the whole handshake, milliseconds. */
  openTimeoutMs: number;
  /** Seconds; also the longest idle time after which a link is trusted, for a frozen process misses its heartbeats. */
  heartbeatSeconds: number;
}

/** amqplib hands these on to net.connect or tls.connect, which both take a signal. */
type AbortableSocketOptions = SocketOptions & { signal: AbortSignal };

const goodbyeMs = 1000;

export class Link {
  readonly #connection: ChannelModel;
  readonly #channel: ConfirmChannel;
  readonly #socket: AbortController;
  readonly #heartbeatMs: number;
  readonly #pending = new Set<() => void>();
  readonly #returned = new Set<string>();
  #lastSignOfLifeMs: number;
  #broken = false;
  #blocked = false;

  static async open({ url, openTimeoutMs, heartbeatSeconds }: LinkOptions): Promise<Link> {
    const socket = new AbortController();
    const timer = setTimeout(() => socket.abort(), openTimeoutMs);
    try {
      // Without noDelay every small publish waits about 40 ms for a delayed TCP acknowledgement.
      const options: AbortableSocketOptions = { noDelay: true, signal: socket.signal };
      const connection = await amqp.connect(withHeartbeat(url, heartbeatSeconds), options);
      connection.on('error', () => undefined);
      const channel = await connection.createConfirmChannel();
      return new Link(connection, channel, socket, heartbeatSeconds * 1000);
    } catch (error) {
      socket.abort();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(
    connection: ChannelModel,
    channel: ConfirmChannel,
    socket: AbortController,
    heartbeatMs: number,
  ) {
    this.#connection = connection;
    this.#channel = channel;
    this.#socket = socket;
    this.#heartbeatMs = heartbeatMs;
    this.#lastSignOfLifeMs = Date.now();
    // A forced close (320) emits only 'close', a reset both: listen to all, and to 'error' always, for without a
    // listener it would end the process.
    for (const emitter of [connection, channel]) {
      emitter.on('error', () => this.#break());
      emitter.on('close', () => this.#break());
    }
    connection.on('blocked', () => {
      this.#blocked = true;
    });
    connection.on('unblocked', () => {
      this.#blocked = false;
    });
    channel.on('return', (message: Message) => this.#returned.add(String(message.properties.messageId)));
  }

  /** By the wall clock: timers stand still while a Lambda is frozen, the broker's patience does not. */
  get usable(): boolean {
    return !this.#broken && Date.now() - this.#lastSignOfLifeMs < this.#heartbeatMs;
  }

  /** The broker has raised an alarm and reads nothing from publishers until it is over. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Publishes persistent-or-as-said, mandatory, to the default exchange; never rejects. */
  publish({ queue, body, properties }: OutgoingMessage, timeoutMs: number): Promise<PublishOutcome> {
    if (this.#broken) return Promise.resolve('unknown');
    return new Promise((resolve) => {
      const settle = (outcome: PublishOutcome) => {
        clearTimeout(timer);
        this.#pending.delete(abandon);
        resolve(outcome);
      };
      const abandon = () => settle('unknown');
      const timer = setTimeout(abandon, timeoutMs);
      this.#pending.add(abandon);
      const onConfirm = (refused: unknown) => {
        this.#lastSignOfLifeMs = Date.now();
        // The return of an unroutable message comes before its confirm.
        const returned = this.#returned.delete(properties.messageId);
        if (refused) settle(this.#broken ? 'unknown' : 'nacked');
        else settle(returned ? 'unroutable' : 'confirmed');
      };
      try {
        this.#channel.publish('', queue, body, { ...properties, mandatory: true }, onConfirm);
      } catch {
        this.#break();
      }
    });
  }

  /** Says goodbye to the broker, and waits a moment for its answer. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), goodbyeMs);
    if (!this.#broken) {
      // The channel first: amqplib may write the connection's close before what the channel still has to send.
      await this.#channel.close().catch(() => undefined);
      await this.#connection.close().catch(() => undefined);
    }
    clearTimeout(timer);
    this.destroy();
  }

  /** Closes the socket at once; what is unconfirmed settles as `unknown`. */
  destroy(): void {
    this.#break();
    this.#socket.abort();
  }

  #break(): void {
    this.#broken = true;
    for (const abandon of [...this.#pending]) abandon();
  }
}

function withHeartbeat(url: string, seconds: number): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(seconds));
  return parsed.href;
}
