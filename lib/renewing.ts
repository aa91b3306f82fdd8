/**
 * A value that somebody else publishes and may change at any time: fetched when it is first needed, again when it is no
 * longer fresh, and again when it does not fit what came. Where it cannot be fetched, the last one lives on for a while;
 * where it was withdrawn, it does not.
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
  /** The least time between a failure and another attempt while there is no value: until then all get the same error. */
  pauseMs: number;
  /** How long a value is used while no other can be fetched. */
  keptMs: number;
}

/** There is no value any more, or not for us, says who publishes it: what a fetch rejects with only where that is known. */
export class WithdrawnError extends Error {
  override readonly name = 'WithdrawnError';
}

/** @param fetchValue is called once at a time, however many wait for it. */
export function renewing<T>(
  fetchValue: () => Promise<T>,
  { freshMs, cooldownMs, pauseMs, keptMs }: RenewalLimits,
  now: () => number = Date.now,
): Renewing<T> {
  let last: { value: T; freshUntil: number; keptUntil: number } | undefined;
  let failure: { error: unknown; failedAt: number } | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let fetching: Promise<T> | undefined;

  const kept = () => (last !== undefined && now() < last.keptUntil ? last : undefined);
  const isCoolingDown = () => fetching === undefined && now() - triedAt < cooldownMs;
  const recentFailure = () =>
    fetching === undefined && failure !== undefined && now() - failure.failedAt < pauseMs ? failure : undefined;
  const fetchOnce = (): Promise<T> => {
    if (fetching !== undefined) return fetching;
    triedAt = now();
    fetching = fetchValue()
      .then((value) => {
        const fetchedAt = now();
        last = { value, freshUntil: fetchedAt + freshMs, keptUntil: fetchedAt + keptMs };
        return value;
      })
      .catch((error: unknown) => {
        failure = { error, failedAt: now() };
        // For good: an outage that follows does not bring it back.
        if (last !== undefined && error instanceof WithdrawnError) last.keptUntil = last.freshUntil;
        throw error;
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  };

  return {
    async current() {
      const known = kept();
      if (known === undefined) {
        const recent = recentFailure();
        if (recent !== undefined) throw recent.error;
        return fetchOnce();
      }
      if (now() < known.freshUntil || isCoolingDown()) return known.value;
      return fetchOnce().catch((error: unknown) => {
        if (kept() === undefined) throw error;
        return known.value;
      });
    },
    async renewed(unfit) {
      const known = kept();
      if (known !== undefined && known.value !== unfit) return known.value;
      return isCoolingDown() ? undefined : fetchOnce().catch(() => undefined);
    },
  };
}
