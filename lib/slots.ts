/**
 * A bounded number of things under way at once. Who comes for the first time goes before those who come again, so that
 * what is retried takes no turn from what has had none; otherwise in the order of their coming.
 */

export type Turn = 'first' | 'again';

/** Runs the work once there is a slot for it, and settles as the work does. */
export type InSlot = <T>(turn: Turn, work: () => Promise<T>) => Promise<T>;

export function slots(count: number): InSlot {
  const waiting: Record<Turn, (() => void)[]> = { first: [], again: [] };
  let free = count;
  return async (turn, work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting[turn].push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.first.shift() ?? waiting.again.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
