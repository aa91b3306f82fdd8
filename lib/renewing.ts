/**
 * A value that somebody else publishes and may change at any time: fetched when it is first needed, again when it is no
 * longer fresh, and again when it does not fit what came. Where it cannot be fetched, the last one lives on for a while.
 */

export interface Renewing<T> {
  /** Rejects where there was none to be had for too long. */
  current(): Promise<T>;
  /** Another one than this; undefined where there is none for now. */
  renewed(unfit: T): Promise<T | undefined>;
}

export interface RenewalLimits {
  /** How long a value is used without a look for another. */
  freshMs: number;
  /** The least time between two attempts while there is a value, whoever asks and whatever became of the first. */
  cooldownMs: number;
  /** How long a value is used while no other can be fetched. */
  keptMs: number;
}

/** Once, however many wait for it. */
export function renewing<T>(
  fetch: () => Promise<T>,
  { freshMs, cooldownMs, keptMs }: RenewalLimits,
  now: () => number = Date.now,
): Renewing<T> {
  let last: { value: T; fetchedAt: number } | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<T> | undefined;

  const lastWithin = (ms: number) => (last !== undefined && now() - last.fetchedAt < ms ? last : undefined);
  const isCoolingDown = () => fetching === undefined && now() - triedAt < cooldownMs;
  const fetchOnce = (): Promise<T> => {
    if (fetching !== undefined) return fetching;
    triedAt = now();
    fetching = fetch()
      .then((value) => {
        last = { value, fetchedAt: now() };
        return value;
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  };

  return {
    async current() {
      const fresh = lastWithin(freshMs);
      if (fresh !== undefined) return fresh.value;
      const kept = lastWithin(keptMs);
      if (kept === undefined) return fetchOnce();
      return isCoolingDown() ? kept.value : fetchOnce().catch(() => kept.value);
    },
    async renewed(unfit) {
      if (last !== undefined && last.value !== unfit) return last.value;
      return isCoolingDown() ? undefined : fetchOnce().catch(() => undefined);
    },
  };
}
