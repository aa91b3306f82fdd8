/**
 * What this process has delivered lately, so that a copy of a reply is not posted twice: RabbitMQ gives out again what was
 * not acknowledged, and services publish again what was not confirmed. A reply is known by its connection and messageId;
 * one without a messageId is never a copy. Another process knows nothing of it: across processes it is at least once.
 */

export interface Recent {
  has(connectionId: string, messageId: string | undefined): boolean;
  add(connectionId: string, messageId: string | undefined): void;
}

/** @param most how many deliveries are remembered; the oldest is forgotten for a new one. At most 4 MB for 10,000. */
export function recentDeliveries(most = 10_000): Recent {
  const known = new Set<string>();
  // No id of a connection has a space.
  const key = (connectionId: string, messageId: string) => `${connectionId} ${messageId}`;
  return {
    has: (connectionId, messageId) => messageId !== undefined && known.has(key(connectionId, messageId)),
    add(connectionId, messageId) {
      if (messageId === undefined) return;
      known.add(key(connectionId, messageId));
      // A set keeps the order in which it was filled.
      const [oldest] = known;
      if (known.size > most && oldest !== undefined) known.delete(oldest);
    },
  };
}
