import { ConsumerRing, type QueueConsumer } from './consumers';
import { Deque } from './deque';
import type { Binding } from './exchange';
import type { Table } from './fields';
import { expirationMs, type Message } from './message';
import { type QueueSettings, queueSettings } from './queue-arguments';

/**
 * A queue: messages in the order they came, handed to consumers by turns, each until it is acknowledged,
 * returned to its place, or dead. Whatever ends a message's stay here goes through `QueueHost.deadLetter`,
 * which knows where dead letters go.
 */

export interface QueueOptions {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Table;
  /** The connection that alone may use the queue, and whose end is the queue's. */
  readonly owner: object | undefined;
}

/** A message's stay in one queue. */
export interface Entry {
  readonly message: Message;
  /** Where it stands: a message that is returned goes back to its place. */
  readonly position: number;
  readonly expiresAt: number;
  redelivered: boolean;
}

export type DeathReason = 'rejected' | 'expired' | 'maxlen';

export interface QueueHost {
  deadLetter(queue: Queue, message: Message, reason: DeathReason): void;
  /** The queue has outlived its use: its last consumer left or nobody used it for long. */
  removeQueue(queue: Queue): void;
}

// The longest time that setTimeout takes; above it fires at once.
const MAX_TIMER_MS = 0x7fffffff;

export class Queue {
  readonly kind = 'queue';
  readonly name: string;
  readonly options: QueueOptions;
  readonly settings: QueueSettings;
  /** What is bound to it, to be undone when it goes. */
  readonly bindings = new Set<Binding>();
  readonly consumers: ConsumerRing;
  private readonly host: QueueHost;
  /** By priority, the lowest first; a queue without priorities has one. */
  private readonly ready: Deque<Entry>[];
  private readyCount = 0;
  private readyBytes = 0;
  private nextPosition = 0;
  private lastUse = performance.now();
  private ttlTimer: NodeJS.Timeout | undefined;
  private ttlTimerAt = Number.POSITIVE_INFINITY;
  private expiryTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(name: string, options: QueueOptions, host: QueueHost) {
    this.name = name;
    this.options = options;
    this.settings = queueSettings(options.arguments);
    this.host = host;
    this.consumers = new ConsumerRing(this.settings.singleActiveConsumer);
    this.ready = Array.from({ length: this.settings.maxPriority + 1 }, () => new Deque<Entry>());
    this.touch();
  }

  /** Messages that wait for a consumer; those delivered and not yet acknowledged do not count. */
  get messageCount(): number {
    this.dropExpired();
    return this.readyCount;
  }

  /** `rejected`: the queue is full and refuses rather than drops. The publisher is told. */
  publish(message: Message): 'accepted' | 'rejected' {
    const { overflow, maxLength, maxBytes } = this.settings;
    if (overflow !== 'drop-head') {
      this.dropExpired();
      if (this.readyCount + 1 > maxLength || this.readyBytes + message.body.length > maxBytes) {
        if (overflow === 'reject-publish-dlx') this.host.deadLetter(this, message, 'maxlen');
        return 'rejected';
      }
    }
    const entry: Entry = {
      message,
      position: this.nextPosition++,
      expiresAt: this.expiryOf(message),
      redelivered: false,
    };
    // An empty queue hands over at once, so that a message without any time to live still reaches a waiting consumer.
    const consumer = this.readyCount === 0 ? this.consumers.next() : undefined;
    if (consumer !== undefined) {
      consumer.deliver(this, entry);
      return 'accepted';
    }
    this.lane(message).push(entry);
    this.counted(entry);
    this.dispatch();
    this.dropAboveLimit();
    this.watchExpiry();
    return 'accepted';
  }

  /** The next message, now the caller's to settle. */
  take(): Entry | undefined {
    this.dropExpired();
    return this.shift();
  }

  /** Hands messages to consumers while any of them takes one. */
  dispatch(): void {
    while (this.readyCount > 0 && !this.closed) {
      const consumer = this.consumers.next();
      if (consumer === undefined) return;
      const entry = this.take();
      if (entry === undefined) return;
      consumer.deliver(this, entry);
    }
  }

  /** Puts unsettled messages back to where they stood. */
  requeue(entries: readonly Entry[]): void {
    if (this.closed) return;
    // From the last to the first, each then goes right to the front.
    for (const entry of [...entries].sort((a, b) => b.position - a.position)) {
      entry.redelivered = true;
      this.lane(entry.message).insertBefore(entry, (other) => other.position > entry.position);
      this.counted(entry);
    }
    this.dispatch();
    this.dropAboveLimit();
    this.watchExpiry();
  }

  /** Rejected without requeue. */
  discard(entries: readonly Entry[]): void {
    if (this.closed) return;
    for (const entry of entries) this.host.deadLetter(this, entry.message, 'rejected');
  }

  addConsumer(consumer: QueueConsumer): void {
    this.consumers.add(consumer);
    this.dispatch();
  }

  /** Consumers leave, and what they had not settled comes back before anybody else gets a turn. */
  release(consumers: readonly QueueConsumer[], entries: readonly Entry[]): void {
    if (this.closed) return;
    for (const consumer of consumers) this.consumers.remove(consumer);
    this.touch();
    if (consumers.length > 0 && this.consumers.size === 0 && this.options.autoDelete) {
      this.host.removeQueue(this);
    } else {
      this.requeue(entries);
    }
  }

  /** How many messages there were. */
  purge(): number {
    this.dropExpired();
    const count = this.readyCount;
    while (this.shift() !== undefined);
    return count;
  }

  /** Notes that somebody used the queue, which puts off its expiry. */
  touch(): void {
    this.lastUse = performance.now();
    if (this.settings.expiresMs !== undefined && this.expiryTimer === undefined) this.watchUse();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.ttlTimer);
    clearTimeout(this.expiryTimer);
    for (const consumer of this.consumers.clear()) consumer.cancelled();
  }

  private lane(message: Message): Deque<Entry> {
    const priority = Math.min(message.properties.priority ?? 0, this.settings.maxPriority);
    return this.ready[priority] as Deque<Entry>;
  }

  private shift(): Entry | undefined {
    const entry = this.firstLane()?.shift();
    if (entry === undefined) return undefined;
    this.readyCount -= 1;
    this.readyBytes -= entry.message.body.length;
    return entry;
  }

  /** The highest priority that has a message. */
  private firstLane(): Deque<Entry> | undefined {
    for (let priority = this.settings.maxPriority; priority >= 0; priority -= 1) {
      const lane = this.ready[priority];
      if (lane !== undefined && lane.length > 0) return lane;
    }
    return undefined;
  }

  private counted(entry: Entry): void {
    this.readyCount += 1;
    this.readyBytes += entry.message.body.length;
  }

  private expiryOf(message: Message): number {
    const ttl = Math.min(
      this.settings.messageTtlMs ?? Number.POSITIVE_INFINITY,
      expirationMs(message) ?? Number.POSITIVE_INFINITY,
    );
    return performance.now() + ttl;
  }

  private dropAboveLimit(): void {
    const { maxLength, maxBytes } = this.settings;
    while (this.readyCount > maxLength || this.readyBytes > maxBytes) {
      const entry = this.shift();
      if (entry === undefined) return;
      this.host.deadLetter(this, entry.message, 'maxlen');
    }
  }

  /** As in RabbitMQ, a message expires only once it is at the head: behind one that lives longer it waits. */
  private dropExpired(): void {
    if (this.readyCount === 0) return;
    const now = performance.now();
    for (const lane of this.ready) {
      for (let head = lane.peek(); head !== undefined && head.expiresAt <= now; head = lane.peek()) {
        lane.shift();
        this.readyCount -= 1;
        this.readyBytes -= head.message.body.length;
        this.host.deadLetter(this, head.message, 'expired');
      }
    }
  }

  /** One timer, for the head that expires first. */
  private watchExpiry(): void {
    let at = Number.POSITIVE_INFINITY;
    for (const lane of this.ready) at = Math.min(at, lane.peek()?.expiresAt ?? Number.POSITIVE_INFINITY);
    if (at >= this.ttlTimerAt || this.closed) return;
    clearTimeout(this.ttlTimer);
    this.ttlTimerAt = at;
    const wait = Math.min(Math.max(Math.ceil(at - performance.now()), 0), MAX_TIMER_MS);
    this.ttlTimer = setTimeout(() => {
      this.ttlTimerAt = Number.POSITIVE_INFINITY;
      this.dropExpired();
      this.watchExpiry();
    }, wait).unref();
  }

  private watchUse(): void {
    const { expiresMs } = this.settings;
    if (expiresMs === undefined || this.closed) return;
    const wait = Math.max(this.lastUse + expiresMs - performance.now(), 0);
    this.expiryTimer = setTimeout(
      () => {
        this.expiryTimer = undefined;
        // With consumers it is in use; the last one's leave starts the time anew.
        if (this.consumers.size > 0) return;
        if (performance.now() - this.lastUse >= expiresMs) this.host.removeQueue(this);
        else this.watchUse();
      },
      Math.min(Math.ceil(wait), MAX_TIMER_MS),
    ).unref();
  }
}
