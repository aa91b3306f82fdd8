import { describe, expect, test } from '@jest/globals';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { type Signable, type SigningScope, signerFor } from '../../lib/sign';

/** As AWS signs in its published test suite, and as the signer of its SDK does. */

const published: SigningScope = {
  service: 'service',
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
};
const publishedAt = new Date('2015-08-30T12:36:00Z');
const scope = 'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request';
const host = 'example.amazonaws.com';
const form = 'application/x-www-form-urlencoded';

async function oracle(signing: SigningScope, request: Signable, now: Date) {
  const signer = new SignatureV4({ ...signing, sha256: Sha256, applyChecksum: false });
  const { headers } = await signer.sign(
    { protocol: 'https:', hostname: host, ...request, headers: { ...request.headers } },
    { signingDate: now },
  );
  return headers;
}

describe('a signature', () => {
  test.each<[string, Signable, signature: string]>([
    [
      'post-vanilla',
      { method: 'POST', path: '/', headers: { host } },
      `${scope}, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b`,
    ],
    [
      'get-vanilla',
      { method: 'GET', path: '/', headers: { host } },
      `${scope}, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31`,
    ],
    [
      'post-x-www-form-urlencoded',
      { method: 'POST', path: '/', headers: { host, 'content-type': form }, body: 'Param1=value1' },
      `${scope}, SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a`,
    ],
  ])('is the one that AWS has published: %s', (_, request, authorization) => {
    expect(signerFor(published)(request, publishedAt)).toEqual({
      ...request.headers,
      'x-amz-date': '20150830T123600Z',
      authorization,
    });
  });

  const visible = fc.stringMatching(/^[!-~]{1,40}$/);
  const word = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
  const signing = fc.record<SigningScope>({
    service: word,
    region: word,
    credentials: fc.record(
      { accessKeyId: visible, secretAccessKey: visible, sessionToken: visible },
      { requiredKeys: ['accessKeyId', 'secretAccessKey'] },
    ),
  });
  /** As a URL has it: encoded once. */
  const path = fc
    .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), { maxLength: 4 })
    .map((segments) => `/${segments.map((segment) => encodeURIComponent(`x${segment}`)).join('/')}`);
  const request = fc.record<Signable>({
    method: fc.constantFrom('POST', 'GET', 'DELETE'),
    path,
    headers: fc.record({
      host: fc.constant(host),
      'content-type': fc.constantFrom('application/json', 'application/x-amz-json-1.0', '  spaces   within '),
      'x-amz-target': visible,
    }),
    body: fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array()),
  });
  const time = fc.date({ min: new Date(0), max: new Date('2099-12-31'), noInvalidDate: true });

  test('is that of the SDK’s signer, whoever signs whatever and whenever', async () => {
    await fc.assert(
      fc.asyncProperty(signing, fc.array(fc.tuple(request, time), { minLength: 1, maxLength: 3 }), async (who, all) => {
        // One signer for several days: its key is kept for one of them.
        const sign = signerFor(who);
        for (const [asked, now] of all) expect(sign(asked, now)).toEqual(await oracle(who, asked, now));
      }),
      { numRuns: 300 },
    );
  });
});
