/**
 * The connection table: who is connected, one row for each open WebSocket. Replies need none to find their client, the
 * connection's id is enough; a reply that finds the client gone removes it. A row is a lease that ends at `expiresAt` by
 * itself, for `$disconnect` is delivered at best effort; a reader treats an expired row as absent, for DynamoDB removes
 * one only within days of its time.
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

/** API Gateway ends a connection after two hours; the lease outlives it by a few minutes. */
export const leaseSeconds = 2 * 3600 + 300;

export interface Connections {
  /** Writes the row; opening the same connection again renews it, an older opening never replaces a newer one. */
  open(connection: Connection): Promise<void>;
  /** The row, unless it is absent or its lease has ended at `now` (milliseconds since 1970). */
  find(connectionId: string, now: number): Promise<Connection | undefined>;
  /**
   * Removes the row if it was opened at `openedBefore` (milliseconds) or earlier: what is known of an old connection
   * never removes a newer one's row. `kept` when there was none to remove.
   */
  remove(connectionId: string, openedBefore: number): Promise<'removed' | 'kept'>;
}

export function leaseFrom(connectionId: string, openedAt: number, userId?: string): Connection {
  const expiresAt = Math.floor(openedAt / 1000) + leaseSeconds;
  return { connectionId, openedAt, expiresAt, ...(userId === undefined ? {} : { userId }) };
}
