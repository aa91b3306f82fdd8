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
  /** It cannot be written as an AMQP message; nothing was sent. */
  | 'unwritable'
  /** No confirm within the time, or the link broke first: it may have arrived. */
  | 'unknown';

export interface PublishLimits {
  /** How long the link may be silent while it owes a confirm, milliseconds; then it is destroyed. */
  silenceMs: number;
  /** Milliseconds since 1970. */
  deadline: number;
}

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
  readonly #abort: AbortController;
  readonly #heartbeatMs: number;
  readonly #pending = new Set<() => void>();
  readonly #returned = new Set<string>();
  readonly #idle: NodeJS.Timeout;
  #lastSignOfLifeMs: number;
  #broken = false;
  /** On its way out: takes no more messages, while those under way are still confirmed. */
  #retired = false;
  #blocked = false;

  static async open({ url, openTimeoutMs, heartbeatSeconds }: LinkOptions): Promise<Link> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), openTimeoutMs);
    try {
      // Without noDelay every small publish waits about 40 ms for a delayed TCP acknowledgement.
      const options: AbortableSocketOptions = { noDelay: true, signal: abort.signal };
      const connection = await amqp.connect(withHeartbeat(url, heartbeatSeconds), options);
      connection.on('error', () => undefined);
      const channel = await connection.createConfirmChannel();
      return new Link(connection, channel, abort, heartbeatSeconds * 1000);
    } catch (error) {
      abort.abort();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  private constructor(connection: ChannelModel, channel: ConfirmChannel, abort: AbortController, heartbeatMs: number) {
    this.#connection = connection;
    this.#channel = channel;
    this.#abort = abort;
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
    // Nothing keeps an unused connection open: brokers count them, and limit their number.
    this.#idle = setTimeout(() => void this.close(), heartbeatMs).unref();
    channel.on('return', (message: Message) => this.#returned.add(String(message.properties.messageId)));
  }

  /** By the wall clock: timers stand still while a Lambda is frozen, the broker's patience does not. */
  get usable(): boolean {
    const silentMs = Date.now() - this.#lastSignOfLifeMs;
    return !this.#broken && !this.#retired && silentMs < this.#heartbeatMs;
  }

  /** The broker has raised an alarm and reads nothing from publishers until it is over. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /**
   * Publishes to the default exchange, mandatory; never rejects. Two messages with one messageId must not be under way
   * at once: the broker's returns are told apart by it.
   */
  publish(
    { queue, body, properties }: OutgoingMessage,
    { silenceMs, deadline }: PublishLimits,
  ): Promise<PublishOutcome> {
    if (this.#broken || this.#retired) return Promise.resolve('unknown');
    const sentAt = Date.now();
    return new Promise((resolve) => {
      const settle = (outcome: PublishOutcome) => {
        clearTimeout(timer);
        this.#pending.delete(abandon);
        resolve(outcome);
      };
      const abandon = () => settle('unknown');
      const onSilence = () => {
        // A busy process runs its timers before it reads what has arrived: let it read first.
        setImmediate(() => {
          if (!this.#pending.has(abandon)) return;
          const now = Date.now();
          // While others are confirmed the link works, and this message waits its turn.
          const patienceEnds = Math.max(sentAt, this.#lastSignOfLifeMs) + silenceMs;
          if (now >= patienceEnds) this.destroy();
          else if (now >= deadline) abandon();
          else timer = setTimeout(onSilence, Math.min(patienceEnds, deadline) - now);
        });
      };
      let timer = setTimeout(onSilence, Math.min(silenceMs, deadline - Date.now()));
      this.#pending.add(abandon);
      const onConfirm = (refused: unknown) => {
        this.#lastSignOfLifeMs = Date.now();
        this.#idle.refresh();
        // The return of an unroutable message comes before its confirm.
        const returned = this.#returned.delete(properties.messageId);
        if (!refused) settle(returned ? 'unroutable' : 'confirmed');
        // amqplib refuses what is unconfirmed on a connection that closes, just before it says that it closes.
        else setImmediate(() => settle(this.#broken ? 'unknown' : 'nacked'));
      };
      try {
        this.#channel.publish('', queue, body, { ...properties, mandatory: true }, onConfirm);
      } catch (error) {
        if ((error as Error).name === 'IllegalOperationError') this.#break();
        else settle('unwritable');
      }
    });
  }

  /** Waits a moment for what is unconfirmed, and says goodbye to the broker. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), goodbyeMs);
    this.#retired = true;
    if (!this.#broken) {
      await this.#channel.waitForConfirms().catch(() => undefined);
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
    this.#abort.abort();
  }

  #break(): void {
    this.#broken = true;
    clearTimeout(this.#idle);
    for (const abandon of [...this.#pending]) abandon();
  }
}

function withHeartbeat(url: string, seconds: number): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(seconds));
  return parsed.href;
}
