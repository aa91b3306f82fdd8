import { hash } from 'node:crypto';

/**
 * What this process knows of its latest deliveries.
 *
 * So that a copy of a reply is not posted twice: RabbitMQ gives out again what was not acknowledged, and services publish
 * again what was not confirmed. A copy has the connection, the messageId and the content of its original; a reply without a
 * messageId is never one. Another process knows nothing of it: across processes it is at least once. Of a reply in a
 * session the session tells, and a copy is posted again where the client may not have the first.
 *
 * And so that a client who takes nothing holds up the others once, not with each of its replies.
 */

export interface Recent {
  isCopy(frame: Frame): boolean;
  delivered(frame: Frame): void;
  /** Whether a reply to this connection was given up lately, and none delivered since. */
  isStuck(connectionId: string): boolean;
  gaveUp(connectionId: string): void;
}

interface Frame extends Content {
  connectionId: string;
  session?: string;
}

interface Content {
  /** JSON text. */
  frame: string;
  trail: { messageId: string | undefined; traceparent: string | undefined };
}

const stuckMs = 60_000;
const mostStuck = 10_000;

/** @param most how many deliveries are remembered; the oldest is forgotten for a new one. At most 4 MB for 10,000. */
export function recentDeliveries(most = 10_000): Recent {
  // Both keep the order in which they were filled. V8 leaves holes where entries were deleted, and a new iterator walks over
  // thousands of them to the oldest. A kept one does not; but until it is moved on, it holds all tables that its map ever had:
  // only `known`, whose entries are deleted by it alone, has one.
  const known = new Set<string>();
  const oldestKnown = known.values();
  const stuckUntil = new Map<string, number>();
  return {
    isCopy: (frame) => hasKey(frame) && known.has(keyOf(frame)),
    delivered(frame) {
      stuckUntil.delete(frame.connectionId);
      if (!hasKey(frame)) return;
      known.add(keyOf(frame));
      if (known.size > most) known.delete(oldestKnown.next().value as string);
    },
    isStuck: (connectionId) => (stuckUntil.get(connectionId) ?? 0) > Date.now(),
    gaveUp(connectionId) {
      stuckUntil.delete(connectionId);
      stuckUntil.set(connectionId, Date.now() + stuckMs);
      const [oldest] = stuckUntil.keys();
      if (stuckUntil.size > mostStuck && oldest !== undefined) stuckUntil.delete(oldest);
    },
  };
}

function hasKey({ session, trail }: Frame): boolean {
  return session === undefined && trail.messageId !== undefined;
}

/** No id of a connection has a space. */
function keyOf({ connectionId, trail, frame }: Frame): string {
  return `${connectionId} ${digestOf({ frame, trail }).toString('base64')} ${trail.messageId}`;
}

/** SHA-256, the same for each copy: a service that answers again what came again does so in another span. */
export function digestOf({ frame, trail: { traceparent } }: Content): Buffer {
  const content = frame.replace(`"traceparent":"${traceparent}",`, '');
  return hash('sha256', content, 'buffer');
}
