import { type Handshake, headerValues } from './handshake';
import type { TokenFault, VerifyToken } from './jwt';
import type { Principal } from './principal';
import { type FoundToken, findToken } from './tokens';

/** Whether a client may open a WebSocket: from an origin that is allowed, and with a token where tokens are asked for. */

export interface Gate {
  /** Of browsers, `scheme://host[:port]`; any where it is empty. */
  allowedOrigins: readonly string[];
  /** Undefined where no token is asked for. */
  verifyToken: VerifyToken | undefined;
}

export type Admission =
  | { result: 'allowed'; principal: Principal | undefined }
  /** The client should come back with another token. */
  | { result: 'unauthorized'; reason: TokenFault | Exclude<FoundToken, { result: 'found' }>['reason'] }
  | { result: 'forbidden'; reason: 'origin' };

/** Rejects where the keys of tokens cannot be had. */
export async function authorize(handshake: Handshake, { allowedOrigins, verifyToken }: Gate): Promise<Admission> {
  if (!isAllowedOrigin(handshake, allowedOrigins)) return { result: 'forbidden', reason: 'origin' };
  if (verifyToken === undefined) return { result: 'allowed', principal: undefined };
  const found = findToken(handshake);
  if (found.result === 'none') return { result: 'unauthorized', reason: found.reason };
  const verified = await verifyToken(found.token);
  return verified.result === 'valid'
    ? { result: 'allowed', principal: verified.principal }
    : { result: 'unauthorized', reason: verified.reason };
}

/**
 * A page of another site makes its visitor's browser connect, and every browser says where the page is from; what is no
 * browser may say anything, and so nothing as well (RFC 6455, 10.2).
 */
function isAllowedOrigin(handshake: Handshake, allowed: readonly string[]): boolean {
  return allowed.length === 0 || headerValues(handshake, 'origin').every((origin) => allowed.includes(origin));
}
