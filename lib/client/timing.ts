/** How long things take at most, where the application has no say. */
export interface Timing {
  /** Until a socket is open. */
  openMs: number;
  /** Until a session is opened or resumed: more than the gateway's function has, and less than API Gateway's patience twice. */
  claimMs: number;
  /** Silence after something that is answered: then a ping is sent; and again: then the connection is dead. */
  silenceMs: number;
  /** The longest pause after the first failure; it doubles with each. */
  pauseMs: number;
  longestPauseMs: number;
  /** A connection that lived this long was none of the failures. */
  stableMs: number;
  /** How long acknowledgements are awaited on a connection that is to be replaced. */
  drainMs: number;
  /** How long a reply that overtook others is held back before the gateway is asked for those. */
  gapMs: number;
  /** Replies received meanwhile are told in one frame. */
  receivedMs: number;
}

export const timing: Timing = {
  openMs: 15_000,
  claimMs: 35_000,
  silenceMs: 10_000,
  pauseMs: 500,
  longestPauseMs: 30_000,
  stableMs: 10_000,
  drainMs: 3_000,
  gapMs: 2_000,
  receivedMs: 200,
};

export type Timer = ReturnType<typeof setTimeout> | undefined;
