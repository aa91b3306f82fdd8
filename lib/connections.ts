/**
 * The connection table: who is connected, one row for each open WebSocket, and in which session it is. Replies need none
 * to find their client, the connection's id is enough; a reply that finds the client gone removes it. A row is a lease
 * that ends at `expiresAt` by itself, for `$disconnect` is delivered at best effort, and outlives its connection.
 */

export interface Connection {
  connectionId: string;
  /** When the WebSocket opened, milliseconds since 1970. */
  openedAt: number;
  /** End of the lease, seconds since 1970 (the unit of DynamoDB's TTL). */
  expiresAt: number;
  /** The subject of the token with which it was opened; absent where none was asked for. */
  userId?: string;
}

/** The session that a connection is in, for good: whoever has read it once need not ask again. */
export interface Membership {
  session: string;
  /** When the session is over at the latest, milliseconds since 1970. */
  sessionEndsAt: number;
}

export type Joined = { result: 'joined'; plainUntil: number } | { result: 'in_another' } | { result: 'absent' };

/** API Gateway ends a connection after two hours; the lease outlives it by a few minutes. */
export const leaseSeconds = 2 * 3600 + 300;

/** Each method rejects where the table does not answer within six seconds. */
export interface Connections {
  /** Writes the row; opening a connection again changes nothing, and an older opening never replaces a newer one. */
  open(connection: Connection): Promise<void>;
  /**
   * Puts the connection into a session, for good; `joined` also where it is in this one already. Until `plainUntil`
   * (milliseconds since 1970, 0 where nobody asked) a function may still take it for plain, as `membership` told it: the
   * client must not know of its session before. One write, and a read where it cannot join.
   */
  join(connectionId: string, session: string, sessionEndsAt: number): Promise<Joined>;
  /**
   * Which session the connection is in; `undefined` where in none, or where there is no row. With `plainUntil` (milliseconds
   * since 1970) that it is in none holds until then, as `join` tells of it: one write, and a read where it is in a session or
   * there is no row. Without, it holds for the moment: one read, which costs a fifth.
   */
  membership(connectionId: string, plainUntil?: number): Promise<Membership | undefined>;
  /**
   * Removes the row if it was opened at `openedBefore` (milliseconds) or earlier: what is known of an old connection
   * never removes a newer one's row. `kept` when there was none to remove; `session` is that of the removed row. One write.
   */
  remove(connectionId: string, openedBefore: number): Promise<{ result: 'removed' | 'kept'; session?: string }>;
}

export function leaseFrom(connectionId: string, openedAt: number, userId?: string): Connection {
  const expiresAt = Math.floor(openedAt / 1000) + leaseSeconds;
  return { connectionId, openedAt, expiresAt, ...(userId === undefined ? {} : { userId }) };
}
