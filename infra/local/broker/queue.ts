import { ConsumerRing, type QueueConsumer } from './consumers';
import { Deque } from './deque';
import type { Binding } from './exchange';
import type { Table } from './fields';
import type { Memory } from './memory';
import { expirationMs, type Message } from './message';
import { type QueueSettings, queueSettings } from './queue-arguments';
import { type QueueType, RETURNED, type ReturnCause } from './queue-type';

/**
 * A queue: messages in the order they came, handed to consumers by turns, each until it is acknowledged,
 * returned, or dead. How types of queues differ in that stands in queue-type.ts. Whatever ends a message's stay
 * here goes through `QueueHost.deadLetter`, which knows where dead letters go.
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
  /** How often it came back from a client. */
  returns: number;
}

export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

export interface QueueHost {
  readonly memory: Memory;
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
  readonly type: QueueType;
  /** What is bound to it, to be undone when it goes. */
  readonly bindings = new Set<Binding>();
  readonly consumers: ConsumerRing;
  private readonly host: QueueHost;
  /** By lane, the lowest first. */
  private readonly ready: Deque<Entry>[];
  /** With those that have expired since the last look. */
  readyCount = 0;
  private readyBytes = 0;
  private refused = false;
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
    this.type = this.settings.type;
    this.host = host;
    this.consumers = new ConsumerRing(this.settings.singleActiveConsumer, this.type.activeByPriority);
    this.ready = Array.from({ length: this.type.lanes(this.settings) }, () => new Deque<Entry>());
    this.touch();
  }

  /** Messages that wait for a consumer; those delivered and not yet acknowledged do not count. */
  get messageCount(): number {
    this.dropExpired();
    return this.readyCount;
  }

  /** `rejected`: the queue is full and refuses rather than drops. The publisher is told. */
  publish(message: Message): 'accepted' | 'rejected' {
    const { overflow } = this.settings;
    if (overflow !== 'drop-head' && this.refuses(message)) {
      if (overflow === 'reject-publish-dlx') this.host.deadLetter(this, message, 'maxlen');
      return 'rejected';
    }
    const entry: Entry = {
      message,
      position: this.nextPosition++,
      expiresAt: this.expiryOf(message),
      returns: 0,
    };
    this.host.memory.hold(message);
    // An empty queue hands over at once, so that a message without any time to live still reaches a waiting consumer.
    const consumer = this.readyCount === 0 ? this.consumers.next() : undefined;
    if (consumer !== undefined) {
      consumer.deliver(this, entry);
      return 'accepted';
    }
    this.lane(message).push(entry);
    this.countIn(entry);
    this.dispatch();
    this.dropAboveLimit();
    this.watchExpiry();
    return 'accepted';
  }

  /** The next message, now the caller's to settle. */
  take(): Entry | undefined {
    this.dropExpired();
    const entry = this.shift();
    this.watchExpiry();
    return entry;
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

  /** The same after something that many consumers share made room: a channel's prefetch, a connection's socket. */
  resume(): void {
    this.consumers.rejoinAll();
    this.dispatch();
  }

  /** Takes unsettled messages back. */
  requeue(entries: readonly Entry[], cause: ReturnCause): void {
    if (this.closed) {
      this.forget(entries);
      return;
    }
    const toTheirPlace = new Map<Deque<Entry>, Entry[]>();
    for (const entry of entries) {
      entry.returns += 1;
      const way = this.type.wayBack(entry, cause, this.settings);
      if (way === 'dead') {
        this.bury(entry, 'delivery_limit');
        continue;
      }
      this.countIn(entry);
      const lane = way === 'front' ? (this.ready[RETURNED] as Deque<Entry>) : this.lane(entry.message);
      if (way !== 'place') {
        lane.push(entry);
        continue;
      }
      const others = toTheirPlace.get(lane);
      if (others === undefined) toTheirPlace.set(lane, [entry]);
      else others.push(entry);
    }
    for (const [lane, returned] of toTheirPlace) {
      returned.sort((a, b) => a.position - b.position);
      lane.merge(returned, (a, b) => a.position < b.position);
    }
    // What goes back to its place may be what the queue has no room for. It is dropped before anybody gets it.
    if (toTheirPlace.size > 0) this.dropAboveLimit();
    this.dispatch();
    this.dropAboveLimit();
    this.watchExpiry();
  }

  /** Rejected without requeue. */
  discard(entries: readonly Entry[]): void {
    if (this.closed) {
      this.forget(entries);
      return;
    }
    for (const entry of entries) this.bury(entry, 'rejected');
  }

  /** Messages that are no more: acknowledged, or handed to whoever does not acknowledge. */
  forget(entries: readonly Entry[]): void {
    for (const { message } of entries) this.host.memory.release(message);
  }

  addConsumer(consumer: QueueConsumer): void {
    this.consumers.add(consumer);
    this.dispatch();
  }

  /** Consumers leave, and what they had not settled comes back before anybody else gets a turn. */
  release(consumers: readonly QueueConsumer[], entries: readonly Entry[]): void {
    if (this.closed) {
      this.forget(entries);
      return;
    }
    for (const consumer of consumers) this.consumers.remove(consumer);
    this.touch();
    if (consumers.length > 0 && this.consumers.size === 0 && this.options.autoDelete) {
      this.host.removeQueue(this);
      this.forget(entries);
    } else {
      this.requeue(entries, 'abandoned');
    }
  }

  /** How many messages there were. */
  purge(): number {
    this.dropExpired();
    const count = this.readyCount;
    this.empty();
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
    this.empty();
    for (const consumer of this.consumers.clear()) consumer.cancelled();
  }

  private lane(message: Message): Deque<Entry> {
    return this.ready[this.type.laneOf(message, this.settings)] as Deque<Entry>;
  }

  private refuses(message: Message): boolean {
    this.dropExpired();
    const load = { count: this.readyCount, bytes: this.readyBytes, refused: this.refused };
    this.refused = this.type.refuses(message.body.length, load, this.settings);
    return this.refused;
  }

  private shift(): Entry | undefined {
    const entry = this.firstLane()?.shift();
    if (entry === undefined) return undefined;
    this.readyCount -= 1;
    this.readyBytes -= entry.message.body.length;
    return entry;
  }

  private empty(): void {
    for (let entry = this.shift(); entry !== undefined; entry = this.shift()) this.forget([entry]);
  }

  private bury(entry: Entry, reason: DeathReason): void {
    this.host.deadLetter(this, entry.message, reason);
    this.forget([entry]);
  }

  private peek(): Entry | undefined {
    return this.firstLane()?.peek();
  }

  /** The highest that has a message. */
  private firstLane(): Deque<Entry> | undefined {
    for (let index = this.ready.length - 1; index >= 0; index -= 1) {
      const lane = this.ready[index];
      if (lane !== undefined && lane.length > 0) return lane;
    }
    return undefined;
  }

  private countIn(entry: Entry): void {
    this.readyCount += 1;
    this.readyBytes += entry.message.body.length;
  }

  private expiryOf(message: Message): number {
    const ttl = Math.min(
      this.settings.messageTtlMs ?? Number.POSITIVE_INFINITY,
      expirationMs(message) ?? Number.POSITIVE_INFINITY,
    );
    return ttl === Number.POSITIVE_INFINITY ? ttl : performance.now() + ttl;
  }

  private dropAboveLimit(): void {
    const { overflow, maxLength, maxBytes } = this.settings;
    // One that refuses may come to hold more by messages that are returned.
    if (overflow !== 'drop-head') return;
    while (this.readyCount > maxLength || this.readyBytes > maxBytes) {
      const entry = this.shift();
      if (entry === undefined) return;
      this.bury(entry, 'maxlen');
    }
  }

  /**
   * As in RabbitMQ, a message expires only once it is at the head: behind one that lives longer, or has a higher
   * priority, it waits.
   */
  private dropExpired(): void {
    let head = this.peek();
    // Most never do, and the clock need not be asked.
    if (head === undefined || head.expiresAt === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    for (; head !== undefined && head.expiresAt <= now; head = this.peek()) {
      this.shift();
      this.bury(head, 'expired');
    }
  }

  /** One timer, for the head. */
  private watchExpiry(): void {
    const at = this.peek()?.expiresAt ?? Number.POSITIVE_INFINITY;
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

/** Each gets a chance after something made room. By turns: where they share the room, the first may take it all. */
export function resumeByTurns(queues: ReadonlySet<Queue>, turn: number): void {
  const all = [...queues];
  const first = turn % Math.max(all.length, 1);
  for (const queue of [...all.slice(first), ...all.slice(0, first)]) queue.resume();
}
