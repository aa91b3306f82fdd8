/**
 * What became of the messages of a session, by the ids that its client gave them: a message whose id was used before is
 * published at most once more, and then as the same one.
 */

/** An attempt of this invocation to send a message of a client's. */
export interface Attempt {
  session: string;
  /** The client's id of the message. */
  clientId: string;
  /** New with each attempt: the message's own if this is the first, and what tells whose a record is. */
  messageId: string;
}

export type Begun =
  /** Nobody has sent it. */
  | { result: 'first'; messageId: string }
  /** Somebody may have sent it: it is to be published again, with the messageId of the first. */
  | { result: 'unknown'; messageId: string }
  /** It is in the queue, and not to be published. */
  | { result: 'acked'; messageId: string };

export interface Sends {
  /**
   * Until `deadline` (milliseconds since 1970) nobody else publishes this message, unless it is released. Waits while
   * another attempt is at it. Rejects with GatewayError `unavailable` where that does not end before the deadline, and with
   * anything where the store does not answer. One write, and two requests for each look at what another has written.
   * @param endsAt when the session is over at the latest, milliseconds since 1970.
   */
  begin(attempt: Attempt, deadline: number, endsAt: number): Promise<Begun>;
  /** It is in the queue. One write, as the two below; none changes what a later attempt has written. */
  acked(attempt: Attempt): Promise<void>;
  /** It is in no queue, and never was: its id is free again. */
  forget(attempt: Attempt): Promise<void>;
  /** It may be in the queue: whoever comes next need not wait. */
  release(attempt: Attempt): Promise<void>;
}
