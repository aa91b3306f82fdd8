import type { Message } from 'amqplib';
import type { OutgoingMessage } from './amqp';
import { type DialOptions, dial, type OpenChannel } from './dial';

/**
 * One AMQP connection with one confirm channel. A publish settles exactly once: `confirmed` when the broker has taken
 * responsibility for the message and routed it to a queue, otherwise with what is known of it. A link never mends
 * itself: once it is not `usable`, its owner opens another.
 */

export type PublishOutcome =
  | { result: 'confirmed' }
  /** The broker has the message and no queue to put it in: returned, and gone. */
  | { result: 'unroutable' }
  /** The broker refused it (a full queue that rejects, an internal fault). */
  | { result: 'nacked' }
  /** It cannot be written as an AMQP message; nothing was sent. */
  | { result: 'unwritable' }
  /** The broker reads nothing from publishers for now; it may arrive once that is over. */
  | { result: 'blocked' }
  /** The broker ended the link because of one of the messages that were under way. */
  | Refused
  /** No confirm within the time, or the link broke first: it may have arrived. */
  | { result: 'unknown' };

export interface Refused {
  result: 'refused';
  /** AMQP's reply code, such as 406, and the broker's words. */
  code: number;
  words: string;
  /** Whether no other message can have been the reason. */
  alone: boolean;
}

export interface LinkOptions extends DialOptions {
  /** How long the link may be silent while it owes a confirm, beside what a large message needs for its way, milliseconds. */
  silenceMs: number;
}

interface Entry {
  message: OutgoingMessage;
  /** Milliseconds since 1970. */
  deadline: number;
  returned: boolean;
  settled: boolean;
  settle(outcome: PublishOutcome): void;
}

const goodbyeMs = 1000;

/** A message is given the time that it takes at a megabyte a second. */
const leastBytesPerMs = 1000;

/**
 * RabbitMQ tells a connection that it is blocked only after it has published under the alarm, and then reads on no
 * further: what it had read before is confirmed within this time, the rest is not until the alarm is over.
 */
const blockedGraceMs = 200;

export class Link {
  readonly #open: OpenChannel;
  readonly #silenceMs: number;
  readonly #idleMs: number;
  readonly #idle: NodeJS.Timeout;
  /** Not written yet, for the socket takes no more. */
  #waiting: Entry[] = [];
  /** Written and not confirmed yet, in their order; also what its publisher waits for no longer. */
  readonly #owed = new Set<Entry>();
  #full = false;
  #lastSignOfLifeMs = Date.now();
  #owingSinceMs = 0;
  #watch: NodeJS.Timeout | undefined;
  /** The earliest that a timer is set to: mostly of a message that was confirmed long before. */
  #nextDeadline = Number.POSITIVE_INFINITY;
  #deadlines: NodeJS.Timeout | undefined;
  #blocked = false;
  #blockedGrace: NodeJS.Timeout | undefined;
  #broken = false;
  /** On its way out: takes no more messages, while those under way are still confirmed. */
  #retired = false;

  static async open(options: LinkOptions): Promise<Link> {
    return new Link(await dial(options), options);
  }

  private constructor(open: OpenChannel, { silenceMs, heartbeatSeconds }: LinkOptions) {
    this.#open = open;
    this.#silenceMs = silenceMs;
    // Without heartbeats nobody notices that the other side has gone, so there is less reason still to trust it.
    this.#idleMs = open.heartbeatMs || heartbeatSeconds * 1000;
    // Nothing keeps an unused connection open: brokers count them, and limit their number.
    this.#idle = setTimeout(
      () => (this.#owed.size > 0 ? this.#idle.refresh() : void this.close()),
      this.#idleMs,
    ).unref();
    const { connection, channel } = open;
    // A forced close (320) emits only 'close', a reset both: listen to all.
    for (const emitter of [connection, channel]) {
      emitter.on('error', (error: unknown) => this.#break(error));
      emitter.on('close', () => this.#break());
    }
    connection.on('blocked', () => this.#block());
    connection.on('unblocked', () => this.#unblock());
    channel.on('return', (message: Message) => this.#markReturned(message));
    channel.on('drain', () => {
      this.#full = false;
      this.#writeWaiting();
    });
  }

  /** By the wall clock: timers stand still while a Lambda is frozen, the broker's patience does not. */
  get usable(): boolean {
    return !this.#broken && !this.#retired && Date.now() - this.#lastSignOfLifeMs < this.#idleMs;
  }

  /**
   * Publishes to the default exchange, mandatory; never rejects.
   * @param deadline milliseconds since 1970.
   */
  publish(message: OutgoingMessage, deadline: number): Promise<PublishOutcome> {
    if (this.#broken || this.#retired) return Promise.resolve({ result: 'unknown' });
    if (this.#blocked) return Promise.resolve({ result: 'blocked' });
    return new Promise((resolve) => {
      const entry: Entry = {
        message,
        deadline,
        returned: false,
        settled: false,
        settle(outcome) {
          entry.settled = true;
          resolve(outcome);
        },
      };
      this.#waiting.push(entry);
      this.#watchDeadline(deadline);
      this.#writeWaiting();
    });
  }

  /** Waits a moment for what is unconfirmed, and says goodbye to the broker. */
  async close(): Promise<void> {
    const { connection, channel } = this.#open;
    const timer = setTimeout(() => this.destroy(), goodbyeMs);
    this.#retired = true;
    this.#settle(this.#waiting, { result: 'unknown' });
    // To a broker that reads nothing there is no goodbye.
    if (!this.#broken && !this.#blocked) {
      await channel.waitForConfirms().catch(() => undefined);
      // The channel first: amqplib may write the connection's close before what the channel still has to send.
      await channel.close().catch(() => undefined);
      await connection.close().catch(() => undefined);
    }
    clearTimeout(timer);
    this.destroy();
  }

  /** Closes the socket at once; what is unconfirmed settles as `unknown`. */
  destroy(): void {
    this.#break();
    this.#open.destroy();
  }

  /** In their order, as long as the socket takes them. */
  #writeWaiting(): void {
    while (!this.#full && !this.#broken) {
      const entry = this.#waiting.shift();
      if (entry === undefined) break;
      if (!entry.settled) this.#write(entry);
    }
    if (this.#owed.size > 0) this.#watchSilence();
  }

  #write(entry: Entry): void {
    if (this.#owed.size === 0) this.#owingSinceMs = Date.now();
    this.#owed.add(entry);
    try {
      this.#full = !this.#open.publish(entry.message, (refused) => this.#confirm(entry, refused));
    } catch {
      this.#owed.delete(entry);
      entry.settle({ result: 'unwritable' });
    }
  }

  #confirm(entry: Entry, refused: unknown): void {
    this.#owed.delete(entry);
    this.#lives();
    // The return of an unroutable message comes before its confirm.
    if (!refused) entry.settle({ result: entry.returned ? 'unroutable' : 'confirmed' });
    // amqplib refuses what is unconfirmed on a connection that closes, just before it says that it closes.
    else setImmediate(() => entry.settle({ result: this.#broken ? 'unknown' : 'nacked' }));
  }

  /** A return names no delivery tag: it is of the first message like it, and messages that are alike are all the same. */
  #markReturned({ fields, properties, content }: Message): void {
    const names = namesOf(fields.routingKey, properties.messageId);
    for (const entry of this.#owed) {
      const { queue, body, properties } = entry.message;
      if (!entry.returned && body.equals(content) && namesOf(queue, properties.messageId) === names) {
        entry.returned = true;
        return;
      }
    }
  }

  #block(): void {
    this.#blocked = true;
    this.#blockedGrace ??= afterReading(blockedGraceMs, () => {
      if (this.#blocked) this.#settle([...this.#owed, ...this.#waiting], { result: 'blocked' });
    });
  }

  #unblock(): void {
    this.#blocked = false;
    clearTimeout(this.#blockedGrace);
    this.#blockedGrace = undefined;
    this.#lives();
    this.#writeWaiting();
  }

  #lives(): void {
    if (this.#broken) return;
    this.#lastSignOfLifeMs = Date.now();
    this.#idle.refresh();
  }

  /** While others are confirmed the link works, and a message waits its turn; a blocked broker is silent by intent. */
  #watchSilence(): void {
    if (this.#watch !== undefined || this.#broken) return;
    const patienceMs = () => {
      let largest = 0;
      for (const { message } of this.#owed) largest = Math.max(largest, message.body.length);
      const silentSince = Math.max(this.#lastSignOfLifeMs, this.#owingSinceMs);
      return silentSince + this.#silenceMs + largest / leastBytesPerMs - Date.now();
    };
    this.#watch = afterReading(patienceMs(), () => {
      this.#watch = undefined;
      if (this.#blocked || this.#owed.size === 0) return;
      if (patienceMs() > 0) this.#watchSilence();
      else this.destroy();
    });
  }

  #watchDeadline(deadline: number): void {
    if (deadline >= this.#nextDeadline) return;
    clearTimeout(this.#deadlines);
    this.#nextDeadline = deadline;
    this.#deadlines = afterReading(deadline - Date.now(), () => {
      this.#nextDeadline = Number.POSITIVE_INFINITY;
      const unsettled = [...this.#owed, ...this.#waiting].filter(({ settled }) => !settled);
      const isLate = (entry: Entry) => entry.deadline <= Date.now();
      this.#settle(unsettled.filter(isLate), { result: 'unknown' });
      for (const entry of unsettled) if (!entry.settled) this.#watchDeadline(entry.deadline);
    }).unref();
  }

  #break(error?: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    for (const timer of [this.#idle, this.#watch, this.#deadlines, this.#blockedGrace]) clearTimeout(timer);
    // Else it is said goodbye to, of which the end of the channel is a part.
    if (!this.#retired) this.#open.destroy();
    const refusal = refusalOf(error);
    const alone = this.#owed.size === 1;
    this.#settle(this.#owed, refusal === undefined ? { result: 'unknown' } : { result: 'refused', ...refusal, alone });
    this.#settle(this.#waiting, { result: 'unknown' });
  }

  #settle(entries: Iterable<Entry>, outcome: PublishOutcome): void {
    for (const entry of entries) if (!entry.settled) entry.settle(outcome);
  }
}

/** A busy process runs its timers before it reads what has arrived: this lets it read first. */
function afterReading(delayMs: number, act: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(act), Math.max(0, delayMs));
}

/** As a return has them: text that is not well formed is not written as it was. */
function namesOf(queue: string, messageId = ''): string {
  return Buffer.from(`${queue}\n${messageId}`).toString();
}

/** amqplib gives the reply code of the broker's close, and to errors of the socket a text. */
function refusalOf(error: unknown): { code: number; words: string } | undefined {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  return typeof code === 'number' ? { code, words: message ?? '' } : undefined;
}
