import { decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { JwtKeys, KeySet } from './jwt-keys';
import type { Principal } from './principal';

/**
 * Verifies a client's JWT: signed by a key of the issuer, meant for this gateway, and live. Nothing of the token is in
 * the verdict but its subject and its end.
 */

export interface TokenDemands {
  issuer: string;
  audience: string;
  /** How far the clocks of the issuer and of the gateway may be apart. */
  clockSkewSeconds: number;
}

export type TokenVerdict = { result: 'valid'; principal: Principal } | { result: 'invalid'; reason: TokenFault };

export type TokenFault =
  | 'malformed'
  | 'wrong_algorithm'
  | 'unknown_key'
  | 'wrong_signature'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_issuer'
  | 'wrong_audience'
  | 'no_expiry'
  | 'no_subject';

export type VerifyToken = (token: string) => Promise<TokenVerdict>;

/** @returns a function that rejects where the keys cannot be had. */
export function tokenVerifier(keys: JwtKeys, demands: TokenDemands, now: () => number = Date.now): VerifyToken {
  return async (token) => {
    const header = headerOf(token);
    if (header === undefined) return invalid('malformed');
    if (!keys.algorithms.includes(header.alg)) return invalid('wrong_algorithm');
    const keySet = await keys.current();
    const verdict = await verify(token, keySet, demands, now());
    // The issuer may have changed its keys. A token that names one by which it is not signed is a forgery, and no sign of that.
    const isNamed = keys.areNamed && header.kid !== undefined;
    const signs: TokenFault[] = isNamed ? ['unknown_key'] : ['unknown_key', 'wrong_signature'];
    if (verdict.result === 'valid' || !signs.includes(verdict.reason)) return verdict;
    const renewed = await keys.renewed(keySet);
    return renewed === undefined ? verdict : verify(token, renewed, demands, now());
  };
}

/** Undefined for one that RFC 7515, 4.1, does not know. */
function headerOf(token: string): { alg: string; kid: string | undefined } | undefined {
  try {
    const { alg, kid }: Record<string, unknown> = decodeProtectedHeader(token);
    return typeof alg === 'string' && (kid === undefined || typeof kid === 'string') ? { alg, kid } : undefined;
  } catch {
    return undefined;
  }
}

async function verify(
  token: string,
  { algorithms, key }: KeySet,
  { issuer, audience, clockSkewSeconds }: TokenDemands,
  now: number,
): Promise<TokenVerdict> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms,
      issuer,
      audience,
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(now),
      requiredClaims: ['exp'],
    });
    if (!isUserId(payload.sub)) return invalid('no_subject');
    return {
      result: 'valid',
      principal: { userId: payload.sub, tokenExpiresAt: Number(payload.exp) + clockSkewSeconds },
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) return invalid(faultOf(error));
    throw error;
  }
}

/** OpenID Connect (Core, 2) bounds a subject so; it travels through an AMQP body, a DynamoDB row and logs. */
function isUserId(subject: unknown): subject is string {
  return typeof subject === 'string' && /^[\x20-\x7e]{1,255}$/.test(subject);
}

function faultOf(error: InstanceType<typeof errors.JOSEError>): TokenFault {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) return faultOfClaim[error.claim] ?? 'malformed';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'wrong_algorithm';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'wrong_signature';
  // None fits, several do since the token names none, or the one that fits is no public key.
  if (error.code.startsWith('ERR_JWK')) return 'unknown_key';
  return 'malformed';
}

const faultOfClaim: Record<string, TokenFault> = {
  exp: 'no_expiry',
  nbf: 'not_yet_valid',
  iss: 'wrong_issuer',
  aud: 'wrong_audience',
};

function invalid(reason: TokenFault): TokenVerdict {
  return { result: 'invalid', reason };
}
