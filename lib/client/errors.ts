/** Why a send, or what else was asked for, did not happen. */

/** The gateway's own, as on the wire. */
export type WireCode =
  | 'bad_frame'
  | 'unknown_action'
  | 'invalid_message'
  | 'too_large'
  | 'unroutable'
  | 'unavailable'
  | 'unauthorized'
  | 'throttled'
  | 'internal';

/**
 * This library's own. `timeout`: no acknowledgement in time. `aborted`: by the caller's signal. `closed`: the gateway is closed; `cause` is
 * the reason, as in the `state` event.
 * `queue_full`: too many sends wait for a connection. `connect_failed`: an attempt to connect, which is repeated.
 * `replies_lost`: the connection, or the session, in which they would have come has ended. `buffer_full`: replies came faster than
 * they were read. `listener_failed`: a listener threw `cause`.
 */
export type ClientCode =
  | 'timeout'
  | 'aborted'
  | 'closed'
  | 'queue_full'
  | 'connect_failed'
  | 'replies_lost'
  | 'buffer_full'
  | 'listener_failed';

export type ErrorCode = WireCode | ClientCode;

/** Decide by `code`; `message` is for people. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  declare readonly code: ErrorCode;
  /** Whether the same may succeed when it is tried again. */
  declare readonly retryable: boolean;
  /** Of the send that it is about, where it is about one. */
  declare readonly id: string | undefined;
  /** The error as a service gave it, where it is a service's. */
  declare readonly data: unknown;

  /** From an `error` frame, or what looks like one. */
  constructor(frame: ErrorFrame, cause?: unknown) {
    super(frame.message, cause ? { cause } : undefined);
    this.code = frame.code;
    this.retryable = frame.retryable;
    this.id = frame.id ?? undefined;
    this.data = frame.data;
  }
}

export interface ErrorFrame {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  id?: string | null | undefined;
  data?: unknown;
}
