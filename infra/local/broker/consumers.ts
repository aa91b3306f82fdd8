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
  full: QueueConsumer[];
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

  get exclusive(): boolean {
    for (const consumer of this.arrivals) if (consumer.exclusive) return true;
    return false;
  }

  next(): QueueConsumer | undefined {
    if (this.singleActive) return this.active?.canTake() ? this.active : undefined;
    this.rejoin();
    for (const { members, full } of this.levels) {
      for (let consumer = members.shift(); consumer !== undefined; consumer = members.shift()) {
        if (consumer.canTake()) {
          members.push(consumer);
          return consumer;
        }
        full.push(consumer);
      }
    }
    return undefined;
  }

  /** Consumers that were full and have room again have their turn after all others: so it matters when this is called. */
  rejoin(): void {
    for (const level of this.levels) {
      if (level.full.length === 0) continue;
      const { members, full } = level;
      level.full = [];
      for (const consumer of full) (consumer.canTake() ? members : level.full).push(consumer);
    }
  }

  add(consumer: QueueConsumer): void {
    this.arrivals.add(consumer);
    this.active ??= consumer;
    const level = this.levels.find((candidate) => candidate.priority === consumer.priority);
    if (level !== undefined) {
      level.members.push(consumer);
      return;
    }
    this.levels.push({ priority: consumer.priority, members: [consumer], full: [] });
    this.levels.sort((a, b) => b.priority - a.priority);
  }

  remove(consumer: QueueConsumer): void {
    if (!this.arrivals.delete(consumer)) return;
    const level = this.levels.find((candidate) => candidate.priority === consumer.priority) as Level;
    const among = level.full.includes(consumer) ? level.full : level.members;
    among.splice(among.indexOf(consumer), 1);
    if (level.members.length + level.full.length === 0) this.levels = this.levels.filter((other) => other !== level);
    if (consumer === this.active) this.active = this.successor();
  }

  clear(): QueueConsumer[] {
    const all = [...this.arrivals];
    this.arrivals.clear();
    this.levels = [];
    this.active = undefined;
    return all;
  }

  private successor(): QueueConsumer | undefined {
    if (this.activeByPriority) return this.levels[0]?.members[0];
    const [first] = this.arrivals;
    return first;
  }
}
