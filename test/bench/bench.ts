import type { Figures } from './rounds';

/** What a benchmark is given, and what it tells: ratios with their goals, and counts that must be exact. */

export interface BenchContext {
  /** To see that it runs, with the least work, not how fast. */
  quick: boolean;
  /** How often everything is measured. */
  rounds: number;
  /** A real RabbitMQ of this machine; undefined where there is none. */
  amqpUrl: string | undefined;
  /** A Node of version 22 or later, to start processes with. */
  node: string;
}

export interface Bench {
  name: string;
  /** One line for `--help`. */
  about: string;
  /** Left out where there is none. */
  needs?: 'RabbitMQ';
  run(context: BenchContext): Promise<Result>;
}

export interface Result {
  rows: Row[];
  /** What does not vary; another number than expected fails the run, and so does a loss. */
  counts: Count[];
}

/** One comparison; the ratio is that of a round's two figures, ours by theirs. */
export interface Row {
  row: string;
  ours: string;
  against: string;
  /** Such as `time`, `CPU`, `msg/s`. */
  metric: string;
  unit: string;
  ourFigures: number[];
  /** As many. */
  theirFigures: number[];
  /** None: the ratio is only shown. */
  goal?: { atMost: number } | { atLeast: number };
  /** What a reader must know to take the ratio for what it is. */
  note?: string;
}

export interface Count {
  count: string;
  found: number;
  expected: number;
}

/** The figures of one metric, of each round. */
export function metricOf(figures: readonly Figures[], metric: string): number[] {
  return figures.map((each) => {
    const value = each[metric];
    if (value === undefined) throw new Error(`No ${metric} was measured.`);
    return value;
  });
}
