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
  readonly members: QueueConsumer[];
  turn: number;
}

export class ConsumerRing {
  private readonly singleActive: boolean;
  private levels: Level[] = [];
  private readonly arrivals = new Set<QueueConsumer>();

  /** @param singleActive the first that came takes everything until it leaves (`x-single-active-consumer`) */
  constructor(singleActive: boolean) {
    this.singleActive = singleActive;
  }

  get size(): number {
    return this.arrivals.size;
  }

  get exclusive(): boolean {
    for (const consumer of this.arrivals) if (consumer.exclusive) return true;
    return false;
  }

  next(): QueueConsumer | undefined {
    if (this.singleActive) {
      const [active] = this.arrivals;
      return active?.canTake() ? active : undefined;
    }
    for (const level of this.levels) {
      const { members } = level;
      for (let step = 0; step < members.length; step += 1) {
        const index = (level.turn + step) % members.length;
        const consumer = members[index] as QueueConsumer;
        if (!consumer.canTake()) continue;
        level.turn = (index + 1) % members.length;
        return consumer;
      }
    }
    return undefined;
  }

  add(consumer: QueueConsumer): void {
    this.arrivals.add(consumer);
    const level = this.levels.find((candidate) => candidate.priority === consumer.priority);
    if (level !== undefined) {
      level.members.push(consumer);
      return;
    }
    this.levels.push({ priority: consumer.priority, members: [consumer], turn: 0 });
    this.levels.sort((a, b) => b.priority - a.priority);
  }

  /** Whether it was there. */
  remove(consumer: QueueConsumer): boolean {
    if (!this.arrivals.delete(consumer)) return false;
    const level = this.levels.find((candidate) => candidate.priority === consumer.priority) as Level;
    const index = level.members.indexOf(consumer);
    level.members.splice(index, 1);
    if (index < level.turn) level.turn -= 1;
    if (level.members.length === 0) this.levels = this.levels.filter((candidate) => candidate !== level);
    else level.turn %= level.members.length;
    return true;
  }

  clear(): QueueConsumer[] {
    const all = [...this.arrivals];
    this.arrivals.clear();
    this.levels = [];
    return all;
  }
}
