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

export type Verdict =
  | { verdict: 'allowed'; principal: Principal | undefined }
  /** The client should come back with another token. */
  | { verdict: 'unauthorized'; reason: TokenFault | Exclude<FoundToken, { result: 'found' }>['reason'] }
  | { verdict: 'forbidden'; reason: 'origin' };

/** Rejects where the keys of tokens cannot be had. */
export async function authorize(handshake: Handshake, { allowedOrigins, verifyToken }: Gate): Promise<Verdict> {
  if (!isAllowedOrigin(handshake, allowedOrigins)) return { verdict: 'forbidden', reason: 'origin' };
  if (verifyToken === undefined) return { verdict: 'allowed', principal: undefined };
  const found = findToken(handshake);
  if (found.result === 'none') return { verdict: 'unauthorized', reason: found.reason };
  const verified = await verifyToken(found.token);
  return verified.result === 'valid'
    ? { verdict: 'allowed', principal: verified.principal }
    : { verdict: 'unauthorized', reason: verified.reason };
}

/**
 * A page of another site makes its visitor's browser connect, and every browser says where the page is from; what is no
 * browser may say anything, and so nothing as well (RFC 6455, 10.2).
 */
function isAllowedOrigin(handshake: Handshake, allowed: readonly string[]): boolean {
  return allowed.length === 0 || headerValues(handshake, 'origin').every((origin) => allowed.includes(origin));
}
