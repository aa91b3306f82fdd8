/** Measures rivals by turns, so that what slows the machine down for a while slows all of them. */

/** What one turn gave, by metric: milliseconds, microseconds of CPU, messages a second. */
export type Figures = Record<string, number>;

/** Of each rival the figures of each round, in the order of the rounds. */
export type Rounds<Rival extends string> = Record<Rival, Figures[]>;

/** A turn of one rival; what it starts it stops. */
export type Turn = (round: number) => Promise<Figures>;

/**
 * A B C, C B A, A B C: every other round in the opposite order, after one round that does not count. One after another,
 * never two at a time.
 */
export async function interleaved<Rival extends string>(
  rounds: number,
  turns: Record<Rival, Turn>,
): Promise<Rounds<Rival>> {
  const rivals = Object.keys(turns) as Rival[];
  const measured = Object.fromEntries(rivals.map((rival) => [rival, [] as Figures[]])) as Rounds<Rival>;
  for (let round = -1; round < rounds; round += 1) {
    for (const rival of round % 2 === 0 ? rivals : rivals.toReversed()) {
      const figures = await turns[rival](round);
      if (round >= 0) measured[rival].push(figures);
    }
  }
  return measured;
}
