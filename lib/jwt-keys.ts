import { type CryptoKey, createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import { ConfigError } from './config';
import { within } from './deadline';
import type { Log } from './log';
import { type RenewalLimits, type Renewing, renewing, WithdrawnError } from './renewing';
import { isRefusal, isRefusalStatus, type ReadSecret } from './secret';

/**
 * The keys by which tokens are verified: of a JWKS URL, or one secret that is shared with the issuer. Each kind of key
 * knows its algorithms, so that a token cannot have its public key taken for a secret, nor go unsigned (RFC 8725, 3.1).
 */

export interface KeySet {
  /** The only ones that a token may name in its header. */
  algorithms: string[];
  key: JWTVerifyGetKey;
}

export interface JwtKeys extends Renewing<KeySet> {
  /** Of this kind of key, whatever keys there are: a token that names another is not worth a look for them. */
  algorithms: readonly string[];
  /** Whether there may be several, of which a token names one by `kid`. */
  areNamed: boolean;
}

/**
 * Whoever publishes the keys and is out of reach for a day shuts nobody out. Keys that are withdrawn, one of them or all
 * of them, are taken for five minutes more at most: while they are fresh, nobody asks.
 */
export const keyLimits: RenewalLimits = {
  freshMs: 5 * 60_000,
  cooldownMs: 10_000,
  pauseMs: 1500,
  keptMs: 24 * 3600_000,
};

const publicKeyAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const secretAlgorithms = ['HS256', 'HS384', 'HS512'];

/** RFC 7518, 3.3 and 3.5; jose finds a shorter one only when it verifies. */
const minRsaBits = 2048;

/** A set of a few keys has a few kilobytes. */
const maxJwksBytes = 256 * 1024;
/** For the whole answer. */
const fetchMs = 3000;

/** @param url of a JSON Web Key Set (RFC 7517, 5), fetched without following redirects. */
export function jwksKeys(url: string, log: Log, limits = keyLimits, now?: () => number): JwtKeys {
  const toldKeys = new Set<string>();
  const tellOnce = (kid: string, error: unknown) => {
    if (toldKeys.has(kid)) return;
    toldKeys.add(kid);
    log.error('A key of the issuer cannot be used', { reason: kid, error });
  };
  const fetchKeys = async (signal: AbortSignal): Promise<KeySet> => {
    const response = await fetch(url, { redirect: 'error', signal });
    if (response.status !== 200) {
      const message = `The JWKS URL answered ${response.status}.`;
      throw isRefusalStatus(response.status) ? new WithdrawnError(message) : new Error(message);
    }
    const jwks = JSON.parse(await boundedText(response));
    const find = createLocalJWKSet(jwks);
    if (jwks.keys.length === 0) throw new Error('The JWKS URL answered with no keys.');
    return { algorithms: publicKeyAlgorithms, key: usableKey(find, tellOnce) };
  };
  const keys = renewing(
    loudly(() => within(fetchMs, fetchKeys), log),
    limits,
    now,
  );
  return { ...keys, algorithms: publicKeyAlgorithms, areNamed: true };
}

/** A key that is none is as good as no key: jose throws an error that is not its own where the issuer publishes one. */
function usableKey(find: JWTVerifyGetKey, tell: (kid: string, error: unknown) => void): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      const key = (await find(header, token)) as CryptoKey;
      const { modulusLength = minRsaBits } = key.algorithm as { modulusLength?: number };
      if (modulusLength < minRsaBits) throw new Error(`It has ${modulusLength} bits, and ${minRsaBits} are the least.`);
      return key;
    } catch (error) {
      if (error instanceof errors.JOSEError) throw error;
      tell(header.kid ?? 'without a kid', error);
      throw new errors.JWKSNoMatchingKey();
    }
  };
}

/** @param readSecret gives the key itself, a text of at least 32 bytes. */
export function secretKeys(readSecret: ReadSecret, log: Log, limits = keyLimits, now?: () => number): JwtKeys {
  const fetchKeys = async (): Promise<KeySet> => {
    try {
      return keySetOf(await readSecret());
    } catch (cause) {
      // A text that is no key says as much as none.
      const isWithdrawn = cause instanceof ConfigError || isRefusal(cause);
      throw isWithdrawn ? new WithdrawnError('The secret of tokens cannot be used.', { cause }) : cause;
    }
  };
  return ofSecret(renewing(loudly(fetchKeys, log), limits, now));
}

/** A secret that never changes. */
export function fixedKeys(secret: string): JwtKeys {
  const keySet = keySetOf(secret);
  return ofSecret({ current: async () => keySet, renewed: async () => undefined });
}

function ofSecret(keys: Renewing<KeySet>): JwtKeys {
  return { ...keys, algorithms: secretAlgorithms, areNamed: false };
}

/** A key shorter than an algorithm's hash is none for it (RFC 7518, 3.2). Throws ConfigError for one too short for all. */
function keySetOf(secret: string): KeySet {
  const key = Buffer.from(secret);
  const algorithms = secretAlgorithms.filter((name) => key.length * 8 >= Number(name.slice('HS'.length)));
  if (algorithms.length === 0) throw new ConfigError('Configuration: the secret of tokens has less than 32 bytes.');
  return { algorithms, key: async () => key };
}

async function boundedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxJwksBytes) throw new Error('The JWKS URL answered with too much.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whoever fetches in vain may still have the keys of before: the log tells it all the same. */
function loudly(fetchKeys: () => Promise<KeySet>, log: Log): () => Promise<KeySet> {
  return () =>
    fetchKeys().catch((error: unknown) => {
      log.error('The keys of tokens cannot be had', { error });
      throw error;
    });
}
