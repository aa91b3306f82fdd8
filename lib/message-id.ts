import { randomBytes } from 'node:crypto';

/**
 * The gateway's id of a client's message: a UUID of version 7, so that whoever has it, a reply included, also has the time
 * at which the message was sent. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
 */

const pattern = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i;

/** @param now milliseconds since 1970. */
export function newMessageId(now = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Milliseconds since 1970; undefined for a text that is no UUID of version 7. */
export function sentAtOf(messageId: string): number | undefined {
  return pattern.test(messageId) ? Number.parseInt(messageId.slice(0, 8) + messageId.slice(9, 13), 16) : undefined;
}
