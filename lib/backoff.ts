import { randomInt } from 'node:crypto';

/**
 * Full jitter: a pause is anything from nothing up to a limit that doubles with each attempt, so that those who failed
 * together do not come back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 */

export interface BackOff {
  /** The limit of the pause after attempt 0, milliseconds. */
  pauseMs: number;
  longestPauseMs: number;
}

/** @param attempt counted from 0. @returns whole milliseconds, 0 to min(pauseMs * 2^attempt, longestPauseMs). */
export function fullJitterMs(attempt: number, { pauseMs, longestPauseMs }: BackOff): number {
  // Nothing times infinity is no number.
  const doubled = pauseMs * 2 ** Math.min(attempt, 1000);
  return randomInt(Math.floor(Math.min(doubled, longestPauseMs)) + 1);
}
