import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type Attributes, customResource, type ResourceRequest } from '../../lib/custom-resource';
import type { Log } from '../../lib/log';
import { type AnswerBucket, startAnswerBucket, type Treatment } from '../helpers/answer-bucket';

describe('a custom resource', () => {
  const stackId =
    'arn:aws:cloudformation:eu-west-1:123456789012:stack/ws-gateway-dev/1c2fa620-982a-11e3-aff7-50e2416294e0';
  let bucket: AnswerBucket;
  let logged: unknown[];

  beforeEach(async () => {
    bucket = await startAnswerBucket();
    logged = [];
  });
  afterEach(() => bucket.close());

  const write = (message: string, fields: unknown) => void logged.push([message, fields]);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const request = (fields: object = {}) => ({
    RequestType: 'Create',
    ResponseURL: bucket.url,
    StackId: stackId,
    RequestId: 'unique id for this create request',
    ResourceType: 'Custom::Topology',
    LogicalResourceId: 'Topology',
    ResourceProperties: { ServiceToken: 'arn', Queues: ['a', 'b'] },
    ...fields,
  });
  const inTime = { getRemainingTimeInMillis: () => 60_000 };
  const invoke = (
    event: unknown,
    fulfil: (request: ResourceRequest, deadline: number) => Promise<Attributes> = async () => ({}),
    context = inTime,
  ) => customResource(log, fulfil)(event, context);

  test('tells what it was asked for, and answers with the ids of the request', async () => {
    const asked: ResourceRequest[] = [];
    await invoke(request(), async (one) => {
      asked.push(one);
      return { Declared: 'a, b' };
    });
    expect(asked).toEqual([{ type: 'Create', properties: { ServiceToken: 'arn', Queues: ['a', 'b'] } }]);
    expect(bucket.answer()).toEqual({
      Status: 'SUCCESS',
      StackId: stackId,
      RequestId: 'unique id for this create request',
      LogicalResourceId: 'Topology',
      PhysicalResourceId: `${stackId}/Topology`,
      Data: { Declared: 'a, b' },
    });
  });

  test('leaves the answer as the URL is signed for: by PUT, with a length and without a content type', async () => {
    await invoke(request());
    expect(bucket.attempts).toHaveLength(1);
    const [{ method, headers, body }] = bucket.attempts as [AnswerBucket['attempts'][number]];
    expect(method).toBe('PUT');
    expect(headers['content-type']).toBe('');
    expect(headers['content-length']).toBe(String(Buffer.byteLength(body)));
  });

  test.each(['Update', 'Delete'])('keeps the id that the resource has, on %s', async (RequestType) => {
    await invoke(request({ RequestType, PhysicalResourceId: 'as it was' }));
    expect(bucket.answer()).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: 'as it was' });
  });

  test.each<[string, unknown, string]>([
    ['an error', new Error('no such host'), 'no such host'],
    ['an error with its causes', new Error('a', { cause: new Error('b', { cause: new Error('c') }) }), 'a (b (c))'],
    ['an error without words', new AggregateError([]), 'AggregateError'],
    ['a text', 'hm', 'hm'],
    ['nothing', undefined, 'undefined'],
  ])('answers with the reason where it fails with %s', async (_, thrown, reason) => {
    await invoke(request(), async () => {
      throw thrown;
    });
    expect(bucket.answer()).toMatchObject({
      Status: 'FAILED',
      Reason: reason,
      PhysicalResourceId: `${stackId}/Topology`,
    });
  });

  test('tells how long there is, and answers in time even where nothing ends', async () => {
    let deadline = 0;
    const endsAt = Date.now() + 21_500;
    const context = { getRemainingTimeInMillis: () => endsAt - Date.now() };
    const hang = (_: ResourceRequest, until: number) => {
      deadline = until;
      return new Promise<never>(() => undefined);
    };
    await invoke(request(), hang, context);
    expect(bucket.answer()).toMatchObject({ Status: 'FAILED', Reason: 'it was not done in time' });
    expect(Date.now()).toBeGreaterThanOrEqual(deadline);
    expect(Date.now()).toBeLessThan(endsAt);
    expect(endsAt - deadline).toBeGreaterThanOrEqual(20_000);
  });

  test('answers even where there is hardly any time', async () => {
    const context = { getRemainingTimeInMillis: () => 3000 };
    await invoke(request(), () => new Promise<never>(() => undefined), context);
    expect(bucket.answer()).toMatchObject({ Status: 'FAILED', Reason: 'it was not done in time' });
  });

  test.each<[string, Attributes | Error]>([
    ['a long reason', new Error('é'.repeat(5000))],
    ['a reason of control characters', new Error('\0'.repeat(5000))],
    ['much data', Object.fromEntries(['a', 'b', 'c'].map((name) => [name, 'x'.repeat(3000)]))],
  ])('cuts %s, for CloudFormation takes 4096 bytes', async (_, result) => {
    await invoke(request(), async () => {
      if (result instanceof Error) throw result;
      return result;
    });
    const [{ body }] = bucket.attempts as [AnswerBucket['attempts'][number]];
    expect(Buffer.byteLength(body)).toBeLessThanOrEqual(4096);
    expect(Buffer.byteLength(body)).toBeGreaterThan(1000);
    const { Status, StackId, RequestId } = bucket.answer();
    expect([Status, StackId]).toEqual([result instanceof Error ? 'FAILED' : 'SUCCESS', stackId]);
    expect(RequestId).toBe('unique id for this create request');
  });

  test.each<[string, Treatment[]]>([
    ['refused', [500, 503, 403]],
    ['not answered', ['hang']],
    ['cut off', ['reset', 'reset']],
  ])('leaves its answer again where it is %s at first', async (_, treatments) => {
    bucket.treat(...treatments);
    await invoke(request(), async () => ({ a: '1' }));
    expect(bucket.answer()).toMatchObject({ Status: 'SUCCESS', Data: { a: '1' } });
    expect(bucket.attempts).toHaveLength(treatments.length + 1);
    expect(new Set(bucket.attempts.map(({ body }) => body)).size).toBe(1);
  });

  test('fails where nobody takes its answer, so that Lambda brings the request again, and does not tell the URL', async () => {
    bucket.treat(500, 500, 500, 500, 500);
    const refused = await invoke(request()).catch((error: Error) => error);
    expect(refused).toMatchObject({ message: 'CloudFormation does not take the answer: status 500' });
    expect(bucket.attempts).toHaveLength(4);

    bucket.treat('hang', 'hang');
    const context = { getRemainingTimeInMillis: () => 1500 };
    const hung = await invoke(request(), undefined, context).catch((error: Error) => error);
    expect(hung).toBeInstanceOf(Error);

    await bucket.close();
    const gone = await invoke(request()).catch((error: Error) => error);
    expect(gone).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
    const told = [refused, hung, gone].map((error) => (error as Error).stack);
    expect(JSON.stringify([told, logged])).not.toContain(bucket.signature);
  });

  test.each<[string, object]>([
    ['of a type that it does not know', { RequestType: 'Import' }],
    ['without a type', { RequestType: undefined }],
    ['with a type that is no text', { RequestType: {} }],
  ])('refuses a request %s', async (_, fields) => {
    await invoke(request(fields));
    expect(bucket.answer()).toMatchObject({ Status: 'FAILED', Reason: 'the RequestType is not known' });
  });

  test.each<[string, object]>([
    ['properties', { ResourceProperties: undefined }],
    ['properties of its kind', { ResourceProperties: [1] }],
  ])('answers a request without %s', async (_, fields) => {
    await invoke(request(fields), async ({ properties }) => ({ had: JSON.stringify(properties) }));
    expect(bucket.answer()).toMatchObject({ Status: 'SUCCESS', Data: { had: '{}' } });
  });

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'Create'],
    ['a list', [{}]],
    ['an event without a URL', {}],
    ['a URL that is none', { RequestType: 'Create', ResponseURL: 'c2VjcmV0' }],
    ['a URL in plain text to elsewhere', { RequestType: 'Create', ResponseURL: 'http://127.0.0.1.example/c2VjcmV0' }],
    [
      'a URL with a host for a password',
      { RequestType: 'Create', ResponseURL: 'http://127.0.0.1:80@c2VjcmV0.example/' },
    ],
    ['a URL with a password', { RequestType: 'Create', ResponseURL: 'https://user:c2VjcmV0@s3.example/' }],
    ['a URL with a user', { RequestType: 'Create', ResponseURL: 'http://c2VjcmV0@127.0.0.1/' }],
    ['a URL of a file', { RequestType: 'Create', ResponseURL: 'file:///c2VjcmV0' }],
  ])('does nothing for %s, for there is nobody to answer', async (_, event) => {
    let asked = 0;
    await invoke(event, async () => {
      asked += 1;
      return {};
    });
    expect(asked).toBe(0);
    expect(logged).toHaveLength(1);
    expect(JSON.stringify(logged)).not.toContain('c2VjcmV0');
  });
});
