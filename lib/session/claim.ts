import { GatewayError } from '../errors';
import type { ClientFrame } from '../frames';
import type { Claim } from './sessions';
import { isSessionId } from './state';

/**
 * What frames say of sessions, read once and trusted nowhere before. Each throws GatewayError `invalid_message` that names
 * the first field that is wrong, and nothing of what was in it.
 */

/** Of a `session` frame; undefined where it asks for a new session. */
export function claimIn({ session, token, after }: ClientFrame): Claim | undefined {
  if ([session, token, after].every(isAbsent)) return undefined;
  return { session: sessionId(session), token: secret(token), after: isAbsent(after) ? 0 : count(after, 'after') };
}

/** Whether the client of a `session` frame reads several replies in one frame. */
export function readsBatches({ batches }: ClientFrame): boolean {
  if (isAbsent(batches)) return false;
  if (typeof batches === 'boolean') return batches;
  throw new GatewayError('invalid_message', 'batches must be true or false.');
}

/** The session in which the client means to `send`; undefined where it names none. */
export function sessionIn({ session }: ClientFrame): string | undefined {
  return isAbsent(session) ? undefined : sessionId(session);
}

/** Up to where the client of a `received` frame has all replies. */
export function seqIn({ seq }: ClientFrame): number {
  return count(seq, 'seq');
}

/** As with a frame's `id`. */
function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function sessionId(value: unknown): string {
  if (typeof value === 'string' && isSessionId(value)) return value;
  throw new GatewayError('invalid_message', 'session must be the id of a session, as the gateway gave it.');
}

/** 256 bits. */
function secret(value: unknown): string {
  if (typeof value === 'string' && /^[\w-]{43}$/.test(value)) return value;
  throw new GatewayError('invalid_message', 'token must be the token of the session, as the gateway gave it.');
}

function count(value: unknown, field: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new GatewayError('invalid_message', `${field} must be a whole number, 0 or more.`);
}
