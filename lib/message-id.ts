import { randomUUID } from 'node:crypto';

/**
 * The gateway's id of a client's message: a UUID of version 7, so that whoever has it, a reply included, also has the time
 * at which the message was sent. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
 */

const pattern = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i;

/** @param now milliseconds since 1970. */
export function newMessageId(now = Date.now()): string {
  const time = now.toString(16).padStart(12, '0');
  // One of version 4 has its random bits and its variant in the same places; Node makes them from a store.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

/** Milliseconds since 1970; undefined for a text that is no UUID of version 7. */
export function sentAtOf(messageId: string): number | undefined {
  return pattern.test(messageId) ? Number.parseInt(messageId.slice(0, 8) + messageId.slice(9, 13), 16) : undefined;
}
