import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Properties } from '../../lib/amqp';
import { decodeCorrelation, encodeCorrelation } from '../../lib/correlation';
import { GatewayError } from '../../lib/errors';
import { buildRequest, parseReply, type Request } from '../../lib/packets';

const request: Request = {
  messageId: 'm-1',
  connectionId: 'L0SM9cOFvHcCIhw=',
  clientId: '7',
  data: { prompt: 'hi' },
  sentAt: 1_700_000_000_999,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};
const route = { apiQueue: 'api_queue', replyQueues: ['ws_queue'], style: 'event' } as const;
const correlationId = encodeCorrelation(request);

function reply(body: unknown, properties: Properties = {}) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return parseReply({ queue: 'ws_queue', body: bytes, properties, redelivered: false });
}

describe('a request', () => {
  test('is what a NestJS service expects, with the properties that an RPC worker needs', () => {
    const { queue, body, properties } = buildRequest(request, route);
    expect(queue).toBe('api_queue');
    expect(JSON.parse(String(body))).toEqual({
      pattern: { cmd: 'send' },
      data: {
        prompt: 'hi',
        metadata: {
          socket_id: 'L0SM9cOFvHcCIhw=',
          websocket_service: 'ws-gateway',
          message_id: 'm-1',
          client_id: '7',
        },
      },
    });
    expect(properties).toEqual({
      contentType: 'application/json',
      deliveryMode: 2,
      messageId: 'm-1',
      timestamp: 1_700_000_000,
      correlationId,
      replyTo: 'ws_queue',
      headers: { traceparent: request.traceparent },
    });
  });

  test('overwrites metadata from the client: nobody addresses another’s socket', () => {
    const forged = { ...request, data: { metadata: { socket_id: 'other', user_id: 'root' } } };
    const { metadata } = JSON.parse(String(buildRequest(forged, route).body)).data;
    expect(metadata.socket_id).toBe('L0SM9cOFvHcCIhw=');
    expect(metadata).not.toHaveProperty('user_id');
  });

  test('has no metadata of the client in any spelling: readers may not regard the case of names', () => {
    const data = JSON.parse('{"Metadata":{"user_id":"root"},"METADATA":1,"metadata":2,"__proto__":3,"prompt":"hi"}');
    const body = JSON.parse(String(buildRequest({ ...request, data }, route).body));
    expect(Object.keys(body.data).sort()).toEqual(['__proto__', 'metadata', 'prompt']);
    expect(body.data.metadata).toMatchObject({ socket_id: 'L0SM9cOFvHcCIhw=' });
  });

  test('says whose it is, where that is known', () => {
    const forged = { ...request, userId: 'alice', data: { metadata: { user_id: 'root' } } };
    expect(JSON.parse(String(buildRequest(forged, route).body)).data.metadata.user_id).toBe('alice');
  });

  test('is answered to the connection’s own queue of replies', () => {
    const sharded = { ...route, replyQueues: ['ws_queue', 'ws_queue.1', 'ws_queue.2', 'ws_queue.3'] };
    const answeredTo = (connectionId: string) => buildRequest({ ...request, connectionId }, sharded).properties.replyTo;
    expect(answeredTo('L0SM9cOFvHcCIhw=')).toBe('ws_queue.1');
    expect(answeredTo('dGVzdA==')).toBe('ws_queue.2');
  });

  test('carries Nest’s id only in rpc style', () => {
    const { body } = buildRequest(request, { ...route, style: 'rpc' });
    expect(JSON.parse(String(body)).id).toBe(correlationId);
    expect(JSON.parse(String(buildRequest(request, route).body))).not.toHaveProperty('id');
  });

  test('refuses data that cannot be written, as the client’s fault', () => {
    const deep = JSON.parse(`{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`);
    expect(() => buildRequest({ ...request, data: deep }, route)).toThrow(GatewayError);
  });

  test('keeps hostile keys as plain data', () => {
    const data = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}');
    const { body } = buildRequest({ ...request, data }, route);
    expect(String(body)).toContain('"__proto__":{"polluted":true}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('the correlationId', () => {
  test('gives back the connection and the client’s id, and fits an AMQP short string', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9+/=_-]{1,64}$/);
    const clientId = fc.option(fc.stringMatching(/^[\x20-\x7e]{1,64}$/), { nil: null });
    fc.assert(
      fc.property(fc.uuid(), part, clientId, (messageId, connectionId, clientId) => {
        const correlation = { messageId, connectionId, clientId };
        const text = encodeCorrelation(correlation);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(255);
        expect(decodeCorrelation(text)).toEqual(correlation);
      }),
    );
  });

  test.each([undefined, '', 'gw1:', 'gw1:a', 'gw2:a:b:c', 'gw1::b:c', `gw1:a:b:${'x'.repeat(65)}`])(
    'of another’s making (%s) is not taken for ours',
    (text) => expect(decodeCorrelation(text)).toBeUndefined(),
  );
});

describe('a reply as a Nest event', () => {
  const metadata = { socket_id: 'c-1', websocket_service: 'ws-gateway', message_id: 'm-1', client_id: '7' };

  test('goes to the socket in its metadata, which stays inside', () => {
    expect(reply({ pattern: { cmd: 'recv' }, data: { answer: 42, metadata } }, { messageId: 'r-1' })).toEqual({
      kind: 'reply',
      connectionId: 'c-1',
      clientId: '7',
      messageId: 'r-1',
      event: 'recv',
      data: { answer: 42 },
    });
  });

  test('names its event by its pattern, in either spelling', () => {
    expect(reply({ pattern: { cmd: 'progress' }, data: { metadata } })).toMatchObject({ event: 'progress' });
    expect(reply({ pattern: 'progress', data: { metadata } })).toMatchObject({ event: 'progress' });
  });

  test('needs no more of the metadata than socket_id', () => {
    expect(reply({ pattern: { cmd: 'recv' }, data: { metadata: { socket_id: 'c-1' } } })).toMatchObject({
      connectionId: 'c-1',
      clientId: null,
    });
  });

  test('is found by the correlationId where it has no metadata', () => {
    expect(reply({ pattern: 'recv', data: 'text' }, { correlationId })).toMatchObject({
      connectionId: 'L0SM9cOFvHcCIhw=',
      clientId: '7',
      data: 'text',
    });
  });

  test('for another connection than that of its correlationId is malformed', () => {
    const body = { pattern: 'recv', data: { metadata: { socket_id: 'other' } } };
    expect(reply(body, { correlationId })).toMatchObject({
      kind: 'malformed',
      reason: 'metadata.socket_id and the correlationId name different connections',
    });
  });

  test.each(['ack', 'error', 'pong', 'session'])('may not pass for the gateway’s own event "%s"', (event) => {
    expect(reply({ pattern: { cmd: event }, data: { metadata } })).toMatchObject({ kind: 'malformed' });
    expect(reply({ pattern: event, data: { metadata } })).toMatchObject({ kind: 'malformed' });
  });

  test.each([
    ['no target', { pattern: { cmd: 'recv' }, data: {} }],
    ['a target that is no text', { pattern: { cmd: 'recv' }, data: { metadata: { socket_id: 5 } } }],
    ['a pattern without cmd', { pattern: {}, data: { metadata } }],
    ['an empty pattern', { pattern: '', data: { metadata } }],
    ['no data', { pattern: 'recv' }],
    ['a target that no URL can hold', { pattern: 'recv', data: { metadata: { socket_id: '\ud800' } } }],
  ])('with %s is malformed, and the reason says so', (_, body) => {
    expect(reply(body)).toEqual({ kind: 'malformed', reason: expect.stringMatching(/metadata|pattern/) });
  });
});

describe('a reply', () => {
  const [messageId, another] = ['018bcfe5-6800-7c7d-9a53-2f8f6f1f3c11', '018bcfe5-6800-7c7d-9a53-2f8f6f1f3c12'];
  const { traceparent } = request;
  const correlated = encodeCorrelation({ ...request, messageId });
  const event = (message_id: unknown) => ({
    pattern: 'recv',
    data: { metadata: { socket_id: request.connectionId, message_id } },
  });

  test('says which message it answers, by its metadata or its correlationId', () => {
    expect(reply(event(another), { correlationId: correlated })).toMatchObject({ inReplyTo: another });
    expect(reply(event(undefined), { correlationId: correlated })).toMatchObject({ inReplyTo: messageId });
    expect(reply({ total: 3 }, { correlationId: correlated })).toMatchObject({ inReplyTo: messageId });
  });

  test('is no answer to what is no message of the gateway', () => {
    for (const id of ['m-1', '0b5a9c9e-6f0e-4c7d-9a53-2f8f6f1f3c11', `${messageId}:reply`, 5, { messageId }]) {
      expect(reply(event(id))).not.toHaveProperty('inReplyTo');
    }
  });

  test('brings its traceparent, and an invalid one is no fault', () => {
    expect(reply(event(messageId), { headers: { traceparent } })).toMatchObject({ kind: 'reply', traceparent });
    for (const value of ['00-rubbish', 5, Buffer.from(traceparent), { traceparent }]) {
      const parsed = reply(event(messageId), { headers: { traceparent: value } });
      expect(parsed).toMatchObject({ kind: 'reply' });
      expect(parsed).not.toHaveProperty('traceparent');
    }
  });

  test('tells where it comes from even if it is malformed', () => {
    const properties = { messageId: 'r-1', correlationId: correlated, headers: { traceparent } };
    for (const [body, kind] of [
      [{ pattern: 'ack', data: {} }, 'malformed'],
      [{ isDisposed: true }, 'nothing'],
    ] as const) {
      expect(reply(body, properties)).toMatchObject({ kind, messageId: 'r-1', inReplyTo: messageId, traceparent });
    }
  });
});

describe('a reply as a Nest response', () => {
  test('delivers what the handler returned', () => {
    expect(reply({ response: { answer: 42 }, isDisposed: true }, { correlationId })).toEqual({
      kind: 'reply',
      connectionId: 'L0SM9cOFvHcCIhw=',
      clientId: '7',
      event: 'recv',
      data: { answer: 42 },
    });
  });

  test('delivers each value of a stream, and nothing for its end', () => {
    expect(reply({ response: 1 }, { correlationId })).toMatchObject({ kind: 'reply', data: 1 });
    expect(reply({ isDisposed: true }, { correlationId })).toEqual({ kind: 'nothing' });
  });

  test('delivers a returned null', () => {
    expect(reply({ response: null, isDisposed: true }, { correlationId })).toMatchObject({
      kind: 'reply',
      data: null,
    });
  });

  test('tells a service’s error', () => {
    const err = { message: 'no credit' };
    for (const body of [
      { err, isDisposed: true },
      { id: correlationId, err, status: 'error' },
    ]) {
      expect(reply(body, { correlationId })).toMatchObject({ kind: 'serviceError', data: err });
    }
  });

  test('without our correlationId reaches nobody', () => {
    expect(reply({ response: 1, isDisposed: true })).toMatchObject({ kind: 'malformed' });
    expect(reply({ response: 1, isDisposed: true }, { correlationId: 'other' })).toMatchObject({
      kind: 'malformed',
    });
  });
});

describe('a reply of any RPC worker', () => {
  test.each([
    ['an object', { total: 3 }],
    ['an array', [1, 2]],
    ['a number', 3],
    ['null', null],
    ['an object that resembles Nest’s', { response: 1, took: 5 }],
    ['an object whose err is null', { err: null, status: 'ok' }],
    ['an object with a pattern of its own', { pattern: 'a*', matches: 2 }],
  ])('delivers %s', (_, body) => {
    expect(reply(body, { correlationId })).toMatchObject({ kind: 'reply', event: 'recv', data: body });
  });

  test('delivers a text that is no JSON', () => {
    expect(reply('plain text', { correlationId })).toMatchObject({ kind: 'reply', data: 'plain text' });
  });

  test('is malformed where it claims JSON and is none, or is not UTF-8', () => {
    for (const contentType of ['application/json', 'application/json; charset=utf-8']) {
      expect(reply('{"a":', { correlationId, contentType })).toMatchObject({ kind: 'malformed' });
    }
    expect(reply(Buffer.from([0xff, 0xfe]), { correlationId })).toMatchObject({ kind: 'malformed' });
  });

  test('does not take the gateway’s metadata to the client, but a field of that name of its own', () => {
    const echoed = { a: 1, metadata: { socket_id: 'c', websocket_service: 'ws-gateway' } };
    expect(reply(echoed, { correlationId })).toMatchObject({ data: { a: 1 } });
    expect(reply({ metadata: { page: 2 } }, { correlationId })).toMatchObject({
      data: { metadata: { page: 2 } },
    });
  });
});

test('a reply of any bytes is judged and never throws', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      fc.boolean(),
      (bytes, known) => {
        const parsed = reply(Buffer.from(bytes), known ? { correlationId } : {});
        return ['reply', 'serviceError', 'nothing', 'malformed'].includes(parsed.kind);
      },
    ),
  );
});
