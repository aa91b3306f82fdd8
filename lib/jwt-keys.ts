import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose';
import { ConfigError } from './config';
import type { Log } from './log';
import { type RenewalLimits, type Renewing, renewing } from './renewing';
import type { ReadSecret } from './secret';

/**
 * The keys by which tokens are verified: of a JWKS URL, or one secret that is shared with the issuer. Each kind of key
 * knows its algorithms, so that a token cannot have its public key taken for a secret, nor go unsigned (RFC 8725, 3.1).
 */

export interface KeySet {
  /** The only ones that a token may name in its header. */
  algorithms: string[];
  key: JWTVerifyGetKey;
}

export type JwtKeys = Renewing<KeySet>;

/** An issuer that is out of reach for a day shuts nobody out; a key that it withdrew is taken for five minutes more. */
export const keyLimits: RenewalLimits = { freshMs: 5 * 60_000, cooldownMs: 10_000, keptMs: 24 * 3600_000 };

const publicKeyAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** A set of a few keys has a few kilobytes. */
const maxJwksBytes = 256 * 1024;
/** For the whole answer. */
const fetchMs = 3000;

/** @param url of a JSON Web Key Set (RFC 7517, 5), fetched without following redirects. */
export function jwksKeys(url: string, log: Log, limits = keyLimits, now?: () => number): JwtKeys {
  const fetchKeys = async (): Promise<KeySet> => {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(fetchMs) });
    if (response.status !== 200) throw new Error(`The JWKS URL answered ${response.status}.`);
    const jwks = JSON.parse(await boundedText(response));
    return { algorithms: publicKeyAlgorithms, key: createLocalJWKSet(jwks) };
  };
  return renewing(loudly(fetchKeys, log), limits, now);
}

/** @param readSecret gives the key itself, a text of at least 32 bytes. */
export function secretKeys(readSecret: ReadSecret, log: Log, limits = keyLimits, now?: () => number): JwtKeys {
  return renewing(
    loudly(async () => keySetOf(await readSecret()), log),
    limits,
    now,
  );
}

/** A secret that never changes. */
export function fixedKeys(secret: string): JwtKeys {
  const keySet = keySetOf(secret);
  return { current: async () => keySet, renewed: async () => undefined };
}

/** A key shorter than an algorithm's hash is none for it (RFC 7518, 3.2). Throws ConfigError for one too short for all. */
function keySetOf(secret: string): KeySet {
  const key = Buffer.from(secret);
  const algorithms = [256, 384, 512].filter((bits) => key.length * 8 >= bits).map((bits) => `HS${bits}`);
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
