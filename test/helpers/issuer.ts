import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';
import { closeServer } from './http-server';

/** An issuer of tokens with real keys, which publishes them at a JWKS URL and fails as a test wants it. */
export interface Issuer {
  jwksUrl: string;
  issuer: string;
  audience: string;
  /** A token of alice's for five minutes, by the newest key; with `kid` undefined it names none. */
  token(
    claims?: Claims,
    options?: { alg?: string; kid?: string | undefined; key?: CryptoKey | Uint8Array },
  ): Promise<string>;
  /** From now on there is one key, another one. */
  rotate(): Promise<void>;
  /** The newest public key, as text. */
  publicKeyPem(): Promise<string>;
  /** From now on. */
  answer(how: JwksAnswer): void;
  /** For the JWKS so far. */
  requests: number;
  close(): Promise<void>;
}

/** `stall` begins an answer and never ends it; `flood` never stops; `redirect` points to the keys all the same. */
export type JwksAnswer = 'work' | 'hang' | 'stall' | 'flood' | 'redirect' | { status: number; body: string };

/** Undefined takes a claim out. */
export type Claims = Record<string, unknown>;

export async function startIssuer(alg = 'ES256'): Promise<Issuer> {
  let how: JwksAnswer = 'work';
  let generation = 0;
  let privateKey: CryptoKey;
  let publicKey: CryptoKey;
  let jwks: { keys: JWK[] };

  const server = createServer((request, response) => {
    issuer.requests += 1;
    if (request.url === '/moved') return void response.end(JSON.stringify(jwks));
    if (how === 'hang') return;
    if (how === 'stall') return void response.writeHead(200, { 'content-length': 1000 }).write('{');
    if (how === 'flood') return flood(response);
    if (how === 'redirect') return void response.writeHead(302, { location: '/moved' }).end();
    const { status, body } = how === 'work' ? { status: 200, body: JSON.stringify(jwks) } : how;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });

  const issuer: Issuer = {
    jwksUrl: '',
    issuer: 'https://issuer.example/',
    audience: 'gateway',
    token: (claims = {}, { key = privateKey, ...header } = {}) => {
      const now = Math.floor(Date.now() / 1000);
      const usual = { iss: issuer.issuer, aud: issuer.audience, sub: 'alice', exp: now + 300, iat: now };
      return new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg, kid: `key-${generation}`, ...header } as JWTHeaderParameters)
        .sign(key);
    },
    async rotate() {
      generation += 1;
      ({ privateKey, publicKey } = await generateKeyPair(alg, { extractable: true }));
      jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: `key-${generation}`, use: 'sig' }] };
    },
    publicKeyPem: () => exportSPKI(publicKey),
    answer(next) {
      how = next;
    },
    requests: 0,
    close: () => closeServer(server),
  };
  await issuer.rotate();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer.jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  return issuer;
}

/** White space, which JSON may have without end. */
function flood(response: ServerResponse): void {
  const space = ' '.repeat(64 * 1024);
  const pour = () => {
    while (!response.destroyed && response.write(space));
  };
  response.on('drain', pour).on('error', () => undefined);
  pour();
}
