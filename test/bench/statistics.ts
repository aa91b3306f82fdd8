import type { Row } from './bench';

/** What the figures of many rounds come to. */

interface Comparison {
  /** Medians of the rounds. */
  ours: number;
  theirs: number;
  /**
   * The median of the rounds' ratios, not the ratio of the medians: what slowed a round down slowed both of its
   * figures.
   */
  ratio: number;
  leastRatio: number;
  mostRatio: number;
  /** Undefined where there is no goal. */
  met: boolean | undefined;
}

export function compare({ row, ourFigures, theirFigures, goal }: Row): Comparison {
  if (ourFigures.length !== theirFigures.length) throw new Error(`${row}: not as many figures of ours as of theirs.`);
  const ratios = ourFigures.map((ours, round) => ours / (theirFigures[round] as number));
  const ratio = median(ratios);
  return {
    ours: median(ourFigures),
    theirs: median(theirFigures),
    ratio,
    leastRatio: Math.min(...ratios),
    mostRatio: Math.max(...ratios),
    met: goal && ('atMost' in goal ? ratio <= goal.atMost : ratio >= goal.atLeast),
  };
}

/** Throws where there is nothing to take it of. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new Error('Nothing was measured.');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
