import type { Entry, Queue } from './queue';

/**
 * The consumers of a queue and whose turn it is: by priority, then round-robin among those that can take a
 * message.
 */

export interface QueueConsumer {
  readonly tag: string;
  readonly priority: number;
  readonly exclusive: boolean;
  /** Whether its prefetch and its socket have room. */
  canTake(): boolean;
  deliver(queue: Queue, entry: Entry): void;
  /** The queue is gone. */
  cancelled(): void;
}

interface Level {
  readonly priority: number;
  /** Whose turn is next comes first. */
  readonly members: QueueConsumer[];
  /** Those whose turn came while they had no room, in that order. */
  readonly full: Set<QueueConsumer>;
}

export class ConsumerRing {
  private readonly singleActive: boolean;
  private readonly activeByPriority: boolean;
  private levels: Level[] = [];
  private readonly arrivals = new Set<QueueConsumer>();
  private active: QueueConsumer | undefined;

  /**
   * @param singleActive the first that came takes everything until it leaves (`x-single-active-consumer`)
   * @param activeByPriority the next one is then the highest in priority, and not the first that came
   */
  constructor(singleActive: boolean, activeByPriority: boolean) {
    this.singleActive = singleActive;
    this.activeByPriority = activeByPriority;
  }

  get size(): number {
    return this.arrivals.size;
  }

  /** Where that is respected an exclusive consumer is the only one, so that the first tells. */
  get exclusive(): boolean {
    const [first] = this.arrivals;
    return first?.exclusive ?? false;
  }

  next(): QueueConsumer | undefined {
    if (this.singleActive) return this.active?.canTake() ? this.active : undefined;
    for (const { members, full } of this.levels) {
      for (let consumer = members.shift(); consumer !== undefined; consumer = members.shift()) {
        if (consumer.canTake()) {
          members.push(consumer);
          return consumer;
        }
        full.add(consumer);
      }
    }
    return undefined;
  }

  /** A consumer that was full and has room again has its turn after all others: so it matters when this is called. */
  rejoin(consumer: QueueConsumer): void {
    const level = this.levelOf(consumer);
    if (!level?.full.has(consumer) || !consumer.canTake()) return;
    level.full.delete(consumer);
    level.members.push(consumer);
  }

  /** The same for all of them, after something that many share made room. */
  rejoinAll(): void {
    for (const { full } of this.levels) for (const consumer of full) this.rejoin(consumer);
  }

  add(consumer: QueueConsumer): void {
    this.arrivals.add(consumer);
    this.active ??= consumer;
    const level = this.levelOf(consumer);
    if (level !== undefined) {
      level.members.push(consumer);
      return;
    }
    this.levels.push({ priority: consumer.priority, members: [consumer], full: new Set() });
    this.levels.sort((a, b) => b.priority - a.priority);
  }

  remove(consumer: QueueConsumer): void {
    if (!this.arrivals.delete(consumer)) return;
    const level = this.levelOf(consumer) as Level;
    const { members, full } = level;
    if (!full.delete(consumer)) members.splice(members.indexOf(consumer), 1);
    if (members.length + full.size === 0) this.levels = this.levels.filter((other) => other !== level);
    if (consumer === this.active) this.active = this.successor();
  }

  clear(): QueueConsumer[] {
    const all = [...this.arrivals];
    this.arrivals.clear();
    this.levels = [];
    this.active = undefined;
    return all;
  }

  private levelOf({ priority }: QueueConsumer): Level | undefined {
    return this.levels.find((level) => level.priority === priority);
  }

  private successor(): QueueConsumer | undefined {
    if (this.activeByPriority) return this.levels[0]?.members[0];
    const [first] = this.arrivals;
    return first;
  }
}
