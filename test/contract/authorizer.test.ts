import { generateKeyPairSync } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateKeyPair, type JWTPayload, UnsecuredJWT } from 'jose';
import { type Admission, authorize, type Gate } from '../../lib/authorize';
import type { Handshake } from '../../lib/handshake';
import { tokenVerifier } from '../../lib/jwt';
import { fixedKeys, type JwtKeys, jwksKeys, keyLimits, secretKeys } from '../../lib/jwt-keys';
import type { Log } from '../../lib/log';
import { secretReader } from '../../lib/secret';
import { type Issuer, type JwksAnswer, startIssuer } from '../helpers/issuer';
import { type SecretsAnswer, type SecretsApi, startSecretsApi } from '../helpers/secrets-api';

/** Who is let in, with real keys at a real URL, or a secret of Secrets Manager; and what of it is logged. */

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const clockSkewSeconds = 30;
const seconds = () => Math.floor(Date.now() / 1000);

let lines: string[];
let log: Log;
let now: number;
let issuer: Issuer;

beforeEach(async () => {
  lines = [];
  const line = (message: string, fields: unknown) => void lines.push(`${message} ${inspectAll(fields)}`);
  log = { debug: line, info: line, warn: line, error: line };
  now = Date.now();
  issuer = await startIssuer();
});
afterEach(() => issuer.close());

/** With the causes of errors, as deep as they go. */
function inspectAll(value: unknown): string {
  return value instanceof Error
    ? `${value.message} ${value.stack} ${inspectAll(value.cause)} ${JSON.stringify(value)}`
    : JSON.stringify(value, (_, inner) => (inner instanceof Error ? inspectAll(inner) : inner));
}

function gateWith(keys: JwtKeys): Gate {
  const demands = { issuer: issuer.issuer, audience: issuer.audience, clockSkewSeconds };
  return { allowedOrigins: [], verifyToken: tokenVerifier(keys, demands, () => now) };
}

const bearing = (token: string): Handshake => ({ headers: { authorization: `Bearer ${token}` } });
/** With whatever header, and with a signature that is none. */
const unsound = (header: unknown) =>
  [header, {}]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
    .concat('.c2ln');
const unauthorized = (reason: string) => ({ result: 'unauthorized', reason });
const allowed = { result: 'allowed', principal: expect.objectContaining({ userId: 'alice' }) };

describe('with the keys of a JWKS URL', () => {
  let gate: Gate;
  const enter = (token: string): Promise<Admission> => authorize(bearing(token), gate);

  beforeEach(() => {
    gate = gateWith(jwksKeys(issuer.jwksUrl, log, keyLimits, () => now));
  });

  test('a token of the issuer’s lets its subject in, until it expires and the clocks may differ', async () => {
    const exp = seconds() + 60;
    expect(await enter(await issuer.token({ exp }))).toEqual({
      result: 'allowed',
      principal: { userId: 'alice', tokenExpiresAt: exp + clockSkewSeconds },
    });
  });

  test.each(['RS256', 'RS512', 'PS256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])('of %s just as well', async (alg) => {
    const of = await startIssuer(alg);
    gate = gateWith(jwksKeys(of.jwksUrl, log));
    expect(await enter(await of.token())).toEqual(allowed);
    await of.close();
  });

  test('an audience among others is enough', async () => {
    expect(await enter(await issuer.token({ aud: ['other', issuer.audience] }))).toEqual(allowed);
  });

  test('fetches the keys once for many clients', async () => {
    const token = await issuer.token();
    await Promise.all(Array.from({ length: 20 }, () => enter(token)));
    expect(issuer.requests).toBe(1);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['long expired', { exp: 1_700_000_000 }, 'expired'],
    ['long not yet valid', { nbf: 99_999_999_999, exp: 99_999_999_999 }, 'not_yet_valid'],
    ['for another audience', { aud: 'other' }, 'wrong_audience'],
    ['for no audience', { aud: undefined }, 'wrong_audience'],
    ['of another issuer', { iss: 'https://issuer.example' }, 'wrong_issuer'],
    ['of no issuer', { iss: undefined }, 'wrong_issuer'],
    ['without an end', { exp: undefined }, 'no_expiry'],
    ['with an end that is no time', { exp: '9999999999' }, 'no_expiry'],
    ['without a subject', { sub: undefined }, 'no_subject'],
    ['with an empty subject', { sub: '' }, 'no_subject'],
    ['with a subject that is no text', { sub: 5 }, 'no_subject'],
    ['with a subject that is too long', { sub: 'x'.repeat(256) }, 'no_subject'],
    ['with a subject of two lines', { sub: 'alice\nbob' }, 'no_subject'],
  ])('a token %s lets nobody in', async (_, claims, reason) => {
    expect(await enter(await issuer.token(claims))).toEqual(unauthorized(reason));
  });

  test('the clocks may differ by half a minute', async () => {
    const at = seconds();
    const past = await issuer.token({ exp: at });
    now = (at + clockSkewSeconds) * 1000 - 1;
    expect(await enter(past)).toEqual(allowed);
    now += 1;
    expect(await enter(past)).toEqual(unauthorized('expired'));
    const coming = await issuer.token({ nbf: at, exp: at + 300 });
    now = (at - clockSkewSeconds) * 1000;
    expect(await enter(coming)).toEqual(allowed);
    now -= 1000;
    expect(await enter(coming)).toEqual(unauthorized('not_yet_valid'));
  });

  test('a token by another key lets nobody in, whoever it says signed it', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    expect(await enter(await issuer.token({}, { key: privateKey }))).toEqual(unauthorized('wrong_signature'));
    expect(await enter(await issuer.token({}, { key: privateKey, kid: 'mine' }))).toEqual(unauthorized('unknown_key'));
  });

  test('an unsigned token lets nobody in', async () => {
    const claims = { iss: issuer.issuer, aud: issuer.audience, sub: 'alice', exp: seconds() + 300 };
    const unsigned = new UnsecuredJWT(claims as JWTPayload).encode();
    expect(await enter(unsigned)).toEqual(unauthorized('malformed'));
    // With something in the signature's place it has three parts.
    expect(await enter(`${unsigned}c2ln`)).toEqual(unauthorized('wrong_algorithm'));
  });

  test.each(['HS256', 'HS512'])(
    'the public key is no secret: signed with it as %s a token lets nobody in',
    async (alg) => {
      const rsa = await startIssuer('RS256');
      gate = gateWith(jwksKeys(rsa.jwksUrl, log));
      const key = Buffer.from(await rsa.publicKeyPem());
      expect(await enter(await rsa.token({}, { alg, key }))).toEqual(unauthorized('wrong_algorithm'));
      await rsa.close();
    },
  );

  test.each<[unknown, string]>([
    ['no header', 'malformed'],
    [[], 'malformed'],
    [{ kid: 'key-1' }, 'malformed'],
    [{ alg: 5 }, 'malformed'],
    [{ alg: 'ES256', kid: 5 }, 'malformed'],
    [{ alg: 'none' }, 'wrong_algorithm'],
    [{ alg: 'HS256' }, 'wrong_algorithm'],
    [{ alg: 'ES256K' }, 'wrong_algorithm'],
  ])('a token that no key could verify makes no request for keys: %j', async (header, reason) => {
    expect(await enter(unsound(header))).toEqual(unauthorized(reason));
    expect(issuer.requests).toBe(0);
  });

  test('a bad signature by a key that is named makes no request for keys', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    await enter(await issuer.token());
    now += keyLimits.cooldownMs;
    expect(await enter(await issuer.token({}, { key: privateKey }))).toEqual(unauthorized('wrong_signature'));
    expect(issuer.requests).toBe(1);
  });

  test('of an issuer that does not name its keys, new ones are taken up where a signature does not fit', async () => {
    expect(await enter(await issuer.token({}, { kid: undefined }))).toEqual(allowed);
    await issuer.rotate();
    now += keyLimits.cooldownMs;
    expect(await enter(await issuer.token({}, { kid: undefined }))).toEqual(allowed);
    expect(issuer.requests).toBe(2);
  });

  test('new keys are taken up when a token first names one, and the old ones given up', async () => {
    const old = await issuer.token();
    expect(await enter(old)).toEqual(allowed);
    await issuer.rotate();
    now += keyLimits.cooldownMs;
    expect(await enter(await issuer.token())).toEqual(allowed);
    expect(await enter(old)).toEqual(unauthorized('unknown_key'));
    expect(issuer.requests).toBe(2);
  });

  test('a flood of unknown keys makes no flood of requests', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    const forged = await Promise.all(
      Array.from({ length: 20 }, (_, n) => issuer.token({}, { key: privateKey, kid: `made-up-${n}` })),
    );
    await enter(await issuer.token());
    now += keyLimits.cooldownMs;
    for (const token of forged) expect(await enter(token)).toEqual(unauthorized('unknown_key'));
    expect(issuer.requests).toBe(2);
  });

  const failures: JwksAnswer[] = [
    { status: 503, body: '' },
    { status: 429, body: '' },
    { status: 408, body: '' },
    { status: 200, body: '{"keys":[]}' },
    { status: 200, body: 'no JSON' },
    { status: 200, body: '{"keys":5}' },
    'redirect',
    'flood',
  ];

  test.each(failures)('keys that are known live on for a day where the URL fails: %j', async (failure) => {
    const token = await issuer.token({ exp: seconds() + 2 * 24 * 3600 });
    expect(await enter(token)).toEqual(allowed);
    issuer.answer(failure);
    now += keyLimits.keptMs - 1;
    expect(await enter(token)).toEqual(allowed);
    expect(issuer.requests).toBeGreaterThan(1);
    now += 1;
    await expect(enter(token)).rejects.toThrow();
    issuer.answer('work');
    now += keyLimits.pauseMs;
    expect(await enter(token)).toEqual(allowed);
  });

  test.each([401, 403, 404, 410])(
    'keys that are withdrawn by a %p are taken for five minutes at most',
    async (status) => {
      const token = await issuer.token({ exp: seconds() + 24 * 3600 });
      expect(await enter(token)).toEqual(allowed);
      issuer.answer({ status, body: '' });
      now += keyLimits.freshMs - 1;
      // Makes it known that they are withdrawn, and is refused all the same.
      expect(await enter(await issuer.token({}, { kid: 'made-up' }))).toEqual(unauthorized('unknown_key'));
      expect(await enter(token)).toEqual(allowed);
      now += 1;
      await expect(enter(token)).rejects.toThrow(`answered ${status}`);
      issuer.answer({ status: 503, body: '' });
      now += keyLimits.pauseMs;
      await expect(enter(token)).rejects.toThrow('answered 503');
      issuer.answer('work');
      now += keyLimits.pauseMs;
      expect(await enter(token)).toEqual(allowed);
    },
  );

  test('many clients in a row make one request, and one line in the log, where keys were never to be had', async () => {
    issuer.answer({ status: 500, body: '' });
    const token = await issuer.token();
    for (let n = 0; n < 50; n += 1) await expect(enter(token)).rejects.toThrow('answered 500');
    expect(issuer.requests).toBe(1);
    expect(lines).toHaveLength(1);
    issuer.answer('work');
    now += keyLimits.pauseMs;
    expect(await enter(token)).toEqual(allowed);
  });

  test.each<JwksAnswer>([...failures, 'hang', 'stall'])(
    'nobody is let in, nor told that the token is wrong, where keys were never to be had: %j',
    async (failure) => {
      issuer.answer(failure);
      await expect(enter(await issuer.token())).rejects.toThrow();
      expect(lines.join()).toContain('The keys of tokens cannot be had');
    },
  );

  test('an answer that stalls is not waited for either where garbage is collected meanwhile', async () => {
    issuer.answer('stall');
    const collecting = setInterval(collectGarbage, 100);
    await expect(enter(await issuer.token())).rejects.toThrow('timeout');
    clearInterval(collecting);
  });

  test('an answer without end is not read to its end', async () => {
    issuer.answer('flood');
    await expect(enter(await issuer.token())).rejects.toThrow('answered with too much');
  });

  test('where nobody listens at the URL, neither', async () => {
    await issuer.close();
    await expect(enter(await issuer.token())).rejects.toThrow();
  });

  test('a secret among the keys, or a key that is not for signatures, lets nobody in', async () => {
    for (const key of [
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'EC', use: 'enc', crv: 'P-256', x: 'AQAB', y: 'AQAB' },
    ]) {
      issuer.answer({ status: 200, body: JSON.stringify({ keys: [{ kid: 'key-1', ...key }] }) });
      gate = gateWith(jwksKeys(issuer.jwksUrl, log));
      expect(await enter(await issuer.token())).toEqual(unauthorized('unknown_key'));
    }
  });

  const rsa = (modulusLength: number) =>
    generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });

  test.each<[string, string, object]>([
    ['an RSA key of 512 bits', 'RS256', rsa(512)],
    ['an RSA key of 1024 bits', 'PS512', rsa(1024)],
    ['an RSA key without a modulus', 'RS256', { kty: 'RSA', e: 'AQAB' }],
    ['a point off its curve', 'ES256', { ...ec, y: ec.x }],
    ['an Ed25519 key that is too short', 'EdDSA', { kty: 'OKP', crv: 'Ed25519', x: 'AQAB' }],
  ])('%s among the keys lets nobody in, is told in the log once, and leaves the others alone', async (_, alg, key) => {
    const jwks = JSON.parse(await (await fetch(issuer.jwksUrl)).text());
    issuer.answer({ status: 200, body: JSON.stringify({ keys: [...jwks.keys, { ...key, kid: 'unusable' }] }) });
    for (let n = 0; n < 3; n += 1) {
      expect(await enter(unsound({ alg, kid: 'unusable' }))).toEqual(unauthorized('unknown_key'));
      now += keyLimits.cooldownMs;
    }
    expect(lines).toEqual([expect.stringMatching(/^A key of the issuer cannot be used .*unusable/)]);
    expect(await enter(await issuer.token())).toEqual(allowed);
  });
});

describe('with a secret', () => {
  const secret = 's'.repeat(64);
  const sign = (alg: string, key = secret) => issuer.token({}, { alg, key: Buffer.from(key) });
  let gate: Gate;
  const enter = (token: string): Promise<Admission> => authorize(bearing(token), gate);

  test.each(['HS256', 'HS384', 'HS512'])('%s lets in', async (alg) => {
    gate = gateWith(fixedKeys(secret));
    expect(await enter(await sign(alg))).toEqual(allowed);
  });

  test('of another key, or by a public key, nobody is let in', async () => {
    gate = gateWith(fixedKeys(secret));
    expect(await enter(await sign('HS256', 'x'.repeat(64)))).toEqual(unauthorized('wrong_signature'));
    expect(await enter(await issuer.token())).toEqual(unauthorized('wrong_algorithm'));
  });

  test('that is shorter than an algorithm’s hash, it is no key for it', async () => {
    const short = 's'.repeat(47);
    gate = gateWith(fixedKeys(short));
    expect(await enter(await sign('HS256', short))).toEqual(allowed);
    expect(await enter(await sign('HS384', short))).toEqual(unauthorized('wrong_algorithm'));
    expect(() => fixedKeys('s'.repeat(31))).toThrow(/^Configuration: .* less than 32 bytes/);
  });

  describe('of Secrets Manager', () => {
    let api: SecretsApi;
    beforeEach(async () => {
      api = await startSecretsApi(secret);
      const client = { endpoint: api.url, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
      gate = gateWith(secretKeys(secretReader(api.secretArn, client), log, keyLimits, () => now));
    });
    afterEach(() => api.close());

    test('it is read once, again after five minutes, and at once where a signature does not fit', async () => {
      expect(await enter(await sign('HS256'))).toEqual(allowed);
      expect(await enter(await sign('HS512'))).toEqual(allowed);
      expect(api.requests).toBe(1);
      now += keyLimits.freshMs;
      expect(await enter(await sign('HS256'))).toEqual(allowed);
      expect(api.requests).toBe(2);
      api.secret = 'n'.repeat(64);
      now += keyLimits.cooldownMs;
      expect(await enter(await sign('HS256', api.secret))).toEqual(allowed);
      expect(await enter(await sign('HS256'))).toEqual(unauthorized('wrong_signature'));
      expect(api.requests).toBe(3);
    });

    test('a token that no secret could verify makes no request for it', async () => {
      expect(await enter(await issuer.token())).toEqual(unauthorized('wrong_algorithm'));
      expect(api.requests).toBe(0);
    });

    test.each<[string, () => void]>([
      ['denied', () => api.answer({ status: 400, error: 'AccessDeniedException' })],
      ['deleted', () => api.answer({ status: 400, error: 'ResourceNotFoundException' })],
      ['marked for deletion', () => api.answer({ status: 400, error: 'InvalidRequestException' })],
      ['emptied', () => Object.assign(api, { secret: '' })],
      ['cut short', () => Object.assign(api, { secret: secret.slice(0, 31) })],
    ])('where it is %s, it is taken for five minutes at most', async (_, withdraw) => {
      const late = await issuer.token({ exp: seconds() + 3600 }, { alg: 'HS256', key: Buffer.from(secret) });
      expect(await enter(late)).toEqual(allowed);
      withdraw();
      now += keyLimits.freshMs - 1;
      expect(await enter(late)).toEqual(allowed);
      now += 1;
      await expect(enter(late)).rejects.toThrow('The secret of tokens cannot be used');
      expect(lines.join()).toContain('The keys of tokens cannot be had');
    });

    test.each<SecretsAnswer>([
      'hang',
      'stall',
      { status: 500, error: 'InternalServiceError' },
      { status: 400, error: 'ThrottlingException' },
    ])('it lives on where it cannot be read: %j', async (answer) => {
      expect(await enter(await sign('HS256'))).toEqual(allowed);
      api.answer(answer);
      now += keyLimits.freshMs - 1000;
      const late = await issuer.token({ exp: seconds() + 3600 }, { alg: 'HS256', key: Buffer.from(secret) });
      now += 1000;
      expect(await enter(late)).toEqual(allowed);
      expect(lines.join()).toContain('The keys of tokens cannot be had');
    });

    test('nobody is let in where it is too short, and the log says so but not what it is', async () => {
      api.secret = 'hunter2';
      await expect(enter(await sign('HS256', 'hunter2-hunter2-hunter2-hunter2-'))).rejects.toThrow();
      expect(lines.join()).toContain('less than 32 bytes');
      expect(lines.join()).not.toContain('hunter2');
    });
  });
});

describe('the origin', () => {
  const allowedOrigins = ['https://app.example', 'http://localhost:8080'];
  const enter = (headers: Handshake['headers'], multiValueHeaders?: Handshake['multiValueHeaders']) =>
    authorize(
      { headers: headers ?? null, multiValueHeaders: multiValueHeaders ?? null },
      { allowedOrigins, verifyToken: undefined },
    );

  test.each([{ origin: 'https://app.example' }, { Origin: 'http://localhost:8080' }, {}])(
    'may be in %j',
    async (headers) => {
      expect(await enter(headers)).toEqual({ result: 'allowed', principal: undefined });
    },
  );

  test.each([
    'https://app.example.evil.example',
    'https://app.example:444',
    'http://app.example',
    'https://app.example/',
    'https://APP.example',
    'http://localhost:80801',
    'null',
    '',
  ])('may not be %j', async (origin) => {
    expect(await enter({ origin })).toEqual({ result: 'forbidden', reason: 'origin' });
  });

  test('may not be two, of which one is allowed', async () => {
    const origins = ['https://evil.example', 'https://app.example'];
    expect(await enter({ origin: 'https://app.example' }, { origin: origins })).toMatchObject({ result: 'forbidden' });
  });

  test('is not asked for where none is listed', async () => {
    const gate = { allowedOrigins: [], verifyToken: undefined };
    expect(await authorize({ headers: { origin: 'https://any.example' } }, gate)).toMatchObject({ result: 'allowed' });
  });

  test('is looked at before the token', async () => {
    const gate = { allowedOrigins, verifyToken: () => Promise.reject(new Error('asked')) };
    const token = await issuer.token();
    expect(
      await authorize({ headers: { origin: 'https://evil.example', authorization: `Bearer ${token}` } }, gate),
    ).toEqual({
      result: 'forbidden',
      reason: 'origin',
    });
  });
});

test('whatever stands in a token’s place, the answer is a verdict, and neither it nor the log has any of the token', async () => {
  const gate = gateWith(jwksKeys(issuer.jwksUrl, log));
  const valid = await issuer.token();
  const part = fc.oneof(
    fc.constantFrom(...valid.split('.')),
    fc.base64String({ minLength: 8 }).map((text) => Buffer.from(text).toString('base64url')),
    fc.jsonValue().map((json) => Buffer.from(JSON.stringify(json)).toString('base64url')),
    fc
      .record({ alg: fc.constantFrom('ES256', 'none', 'HS256', '', null), kid: fc.constantFrom('key-1', 'x', 5) })
      .map((json) => Buffer.from(JSON.stringify(json)).toString('base64url')),
  );
  await fc.assert(
    fc.asyncProperty(fc.tuple(part, part, part), async (parts) => {
      const token = parts.join('.');
      const admission = await authorize(bearing(token), gate);
      if (token !== valid) expect(admission.result).toBe('unauthorized');
      const told = `${JSON.stringify(admission)} ${lines.join()}`;
      for (const each of parts.filter(({ length }) => length >= 8)) expect(told).not.toContain(each);
    }),
    { numRuns: 1000 },
  );
});
