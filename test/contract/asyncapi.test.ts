import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Parser } from '@asyncapi/parser';
import { describe, expect, test } from '@jest/globals';
import Ajv, { type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { parse } from 'yaml';
import { topology } from '../../infra/topology';
import type { Delivery, OutgoingMessage, Properties } from '../../lib/amqp';
import { decodeCorrelation, encodeCorrelation } from '../../lib/correlation';
import { amqpDeadLetters } from '../../lib/dead-letters';
import { defaultLimits, deliver } from '../../lib/delivery';
import { errorCodes, GatewayError, toGatewayError } from '../../lib/errors';
import {
  ackFrame,
  errorFrame,
  maxFrameBytes,
  ownEvents,
  parseFrame,
  pongFrame,
  replyFrame,
  sessionEndedFrame,
  sessionFrame,
  withSeq,
} from '../../lib/frames';
import { newMessageId } from '../../lib/message-id';
import { checkMessage } from '../../lib/message-schema';
import { noMetrics } from '../../lib/metrics';
import { buildRequest, parseReply, type Request, type RequestStyle } from '../../lib/packets';
import { pack } from '../../lib/packing';
import type { PostOutcome } from '../../lib/post';
import { recentDeliveries } from '../../lib/recent';
import { createSender } from '../../lib/sender';
import { claimIn, readsBatches, seqIn, sessionIn } from '../../lib/session/claim';
import { createSessions } from '../../lib/session/sessions';
import { type RefusalReason, sessionLimits } from '../../lib/session/state';
import { traceparentOf } from '../../lib/traceparent';
import { memorySessionStore } from '../helpers/session-memory';

/** docs/asyncapi.yaml and docs/PROTOCOL.md say what the code does: each is held to the code, and to the other. */

interface Schema {
  $ref?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: unknown;
  enum?: string[];
  not?: Schema;
}

interface Example {
  name: string;
  payload: unknown;
  headers?: Properties;
}

interface Delivered {
  connectionId: string;
  frame: { event: string; id?: string; messageId?: string; traceparent?: string; data?: unknown };
}

interface Message {
  payload: Schema;
  headers?: Schema;
  examples: Example[];
  tags: { name: string }[];
  'x-delivered'?: Record<string, Delivered | null>;
}

interface Channel {
  address: string;
  parameters?: Record<string, { default: string }>;
  messages: Record<string, { $ref: string }>;
  bindings: { amqp?: { queue: { name: string; durable: boolean; exclusive: boolean; autoDelete: boolean } } };
}

interface Document {
  channels: Record<string, Channel>;
  operations: Record<string, { messages: { $ref: string }[]; reply?: { messages: { $ref: string }[] } }>;
  components: { messages: Record<string, Message>; schemas: Record<string, Schema> };
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const session = 'session_Hk2v0hVQW3yq1m0Yb6rJxA';
const token = '3q2-7wVd0m5Yc1k8Xj4nQpT6sLhZrUaEoGfIbKx9WvM';
const refusals: RefusalReason[] = ['unknown', 'too_many_replies', 'too_many_bytes', 'too_old', 'incomplete'];

const docs = join(__dirname, '..', '..', 'docs');
const source = readFileSync(join(docs, 'asyncapi.yaml'), 'utf8');
const prose = readFileSync(join(docs, 'PROTOCOL.md'), 'utf8');
const document = parse(source) as Document;
const { messages, schemas } = document.components;
const messageNames = Object.keys(messages);
const examples = messageNames.flatMap((name) =>
  message(name).examples.map((example) => ({ name, example, title: `${name}: ${example.name}` })),
);

/** Messages of clients, each named by its action. */
const fromClient = ['send', 'ping', 'session', 'received'];

const validatorOf = validators(document);
const strictValidatorOf = validators(closed(document));

describe('the AsyncAPI document', () => {
  test('is valid, without a warning', async () => {
    const { diagnostics } = await new Parser().parse(source);
    // Version 3.1 adds a binding that the gateway has no use for; the hint to it is not about this document.
    expect(diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version')).toEqual([]);
  });

  test('has the error codes of the code', () => {
    expect(schemas.ErrorCode?.enum).toEqual(errorCodes);
  });

  test('keeps the gateway’s own events from services, as the code does', () => {
    expect(schemas.EventName?.not?.enum).toEqual([...ownEvents]);
    expect(message('recv').payload.properties?.event?.not?.enum).toEqual([...ownEvents]);
  });

  test('has the queues of the topology, plain and durable', () => {
    const queues = Object.values(document.channels).flatMap(({ address, parameters, bindings }) => {
      if (bindings.amqp === undefined) return [];
      const name = address.replace(/\{(\w+)\}/, (_, variable) => parameters?.[variable]?.default ?? '?');
      expect(bindings.amqp.queue).toMatchObject({ name, exclusive: false, autoDelete: false });
      return [{ name, durable: bindings.amqp.queue.durable, arguments: {} }];
    });
    expect(queues).toEqual(topology({ apiQueue: 'api_queue', wsQueue: 'ws_queue' }));
  });

  test('has each message in a channel and in an operation', () => {
    const inChannels = Object.values(document.channels).flatMap((channel) =>
      Object.values(channel.messages).map(lastPart),
    );
    const inOperations = Object.values(document.operations).flatMap((operation) =>
      [...operation.messages, ...(operation.reply?.messages ?? [])].map(lastPart),
    );
    expect(inChannels.sort()).toEqual([...messageNames].sort());
    expect([...new Set(inOperations)].sort()).toEqual([...messageNames].sort());
  });

  test.each(messageNames)('has an example of %s', (name) => {
    expect(message(name).examples.length).toBeGreaterThan(0);
  });

  test.each(examples)('$title is what the schema says', ({ name, example }) => {
    expectValid(strictValidatorOf(name, 'payload'), example.payload);
    if (message(name).headers !== undefined) {
      expectValid(strictValidatorOf(name, 'headers'), example.headers);
    }
  });
});

describe('a frame that the gateway builds is documented:', () => {
  const messageId = newMessageId();

  test.each(['1', null])('ack and pong, to id %p', (id) => {
    expectDocumented('ack', overTheWire(ackFrame(id, messageId)));
    expectDocumented('ack', overTheWire(ackFrame(id, messageId, true)));
    expectDocumented('pong', overTheWire(pongFrame(id)));
  });

  test.each(errorCodes)('error %s', (code) => {
    expectDocumented('error', overTheWire(errorFrame('1', new GatewayError(code, 'why'))));
    expectDocumented('error', overTheWire(errorFrame(null, new GatewayError(code, 'why'))));
  });

  test('error of anything thrown', () => {
    expectDocumented('error', overTheWire(errorFrame(null, toGatewayError(new TypeError('bug')))));
  });

  test.each([
    { event: 'recv', id: '1', messageId: 'r-17', data: { answer: 42 } },
    { event: 'recv', id: null, messageId: 'r-17', data: [] },
    { event: 'recv', id: '1', traceparent, data: null },
    { event: 'progress', id: '1', data: null },
    { event: 'recv', id: null, data: 'text' },
  ])('reply %j', (reply) => {
    expectDocumented('recv', overTheWire(replyFrame(reply)));
  });

  test('reply and service error in a session', () => {
    const reply = JSON.stringify(replyFrame({ event: 'recv', id: '1', messageId: 'r-17', data: { answer: 42 } }));
    const error = JSON.stringify({
      ...errorFrame('1', new GatewayError('internal', 'why')),
      messageId: 'r-18',
      data: {},
    });
    expectDocumented('recv', JSON.parse(withSeq(reply, 1)));
    expectDocumented('error', JSON.parse(withSeq(error, 1000)));
    const [batch] = pack([withSeq(reply, 1), withSeq(error, 2)].map((frame) => ({ frame, readsBatches: true })));
    expectDocumented('batch', JSON.parse(batch?.frame ?? ''));
  });

  test.each(['s', null])('session, opened or taken over, to id %p', (id) => {
    const fresh = { id, session, token, resumed: false, seq: 0 };
    expectDocumented('sessionOpened', overTheWire(sessionFrame(fresh)));
    expectDocumented('sessionOpened', overTheWire(sessionFrame({ ...fresh, resumed: true, seq: 17 })));
    for (const reason of refusals) {
      expectDocumented('sessionOpened', overTheWire(sessionFrame({ ...fresh, reason })));
    }
  });

  test.each([...refusals, 'taken_over' as const])('session ended, for it is %s', (ended) => {
    expectDocumented('sessionEnded', overTheWire(sessionEndedFrame(session, ended)));
  });

  test('but not whatever resembles one', () => {
    const ack = { event: 'ack', id: '1', messageId };
    const error = { event: 'error', id: null, code: 'internal', message: '', retryable: false };
    expect(strictValidatorOf('ack', 'payload')({ ...ack, more: 1 })).toBe(false);
    expect(validatorOf('ack', 'payload')({ ...ack, messageId: 'r-17' })).toBe(false);
    expect(validatorOf('error', 'payload')({ ...error, retryable: true })).toBe(false);
    expect(validatorOf('error', 'payload')({ ...error, code: 'gone' })).toBe(false);
    expect(validatorOf('recv', 'payload')({ event: 'ack', data: {} })).toBe(false);
    expect(validatorOf('recv', 'payload')({ event: 'recv', seq: 1, data: {} })).toBe(false);
    const reply = { event: 'recv', seq: 1, messageId: 'r-17', data: {} };
    expect(strictValidatorOf('batch', 'payload')([reply, reply])).toBe(true);
    expect(strictValidatorOf('batch', 'payload')([reply])).toBe(false);
    expect(strictValidatorOf('batch', 'payload')([reply, { ...reply, more: 1 }])).toBe(false);
    expect(validatorOf('batch', 'payload')([reply, { event: 'recv', messageId: 'r-18', data: {} }])).toBe(false);
    expect(validatorOf('batch', 'payload')([reply, ack])).toBe(false);
    const opened = overTheWire(sessionFrame({ id: null, session, token, resumed: true, seq: 1 })) as object;
    expect(validatorOf('sessionOpened', 'payload')({ ...opened, reason: 'unknown' })).toBe(false);
    expect(validatorOf('sessionOpened', 'payload')({ ...opened, resumed: false })).toBe(false);
    expect(validatorOf('sessionEnded', 'payload')({ event: 'session', session, ended: 'cut' })).toBe(false);
  });
});

describe('a frame from a client', () => {
  test.each(examples.filter(({ name }) => fromClient.includes(name)))('$title is taken', ({ name, example }) => {
    const frame = example.payload as { id?: string };
    expect(parseFrame(JSON.stringify(frame))).toEqual({ ...frame, action: name, id: frame.id ?? null });
    expect(isTaken(JSON.stringify(frame))).toBe(true);
  });

  test('that takes a session over is read as the document says', () => {
    const claims = message('session').examples.map(({ payload }) => claimIn(parseFrame(JSON.stringify(payload))));
    expect(claims).toEqual([
      undefined,
      undefined,
      undefined,
      { session, token, after: 4 },
      { session, token, after: 0 },
    ]);
  });

  test('says whether its client reads batches', () => {
    const read = message('session').examples.map(({ payload }) => readsBatches(parseFrame(JSON.stringify(payload))));
    expect(read).toEqual([false, false, true, false, false]);
  });

  test('is taken exactly when it is documented', () => {
    const action = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom<unknown>(...fromClient) },
      fc.constantFrom<unknown>('Send', '', '$connect', '$default', null, 1),
    );
    const id = fc.oneof(
      fc.stringMatching(/^[\x20-\x7e]{1,64}$/),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
      fc.constantFrom<unknown>(null, 1, '', 'ü', 'a\n', 'x'.repeat(64), 'x'.repeat(65)),
    );
    const data = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue());
    const trace = fc.constantFrom<unknown>(traceparent, 'x', 5, null);
    const seq = fc.oneof(
      fc.nat(),
      fc.constantFrom<unknown>(null, -1, 1.5, '1', 2 ** 53, Number.MAX_SAFE_INTEGER, true),
    );
    const mostly = <T>(value: T, ...others: unknown[]) =>
      fc.oneof({ weight: 5, arbitrary: fc.constant<unknown>(value) }, fc.constantFrom<unknown>(null, 1, '', ...others));
    const ofSessions = {
      session: mostly(session, `${session}x`, session.toUpperCase(), `${session}\n`),
      token: mostly(token, token.slice(1), `${token}=`),
      after: seq,
      batches: mostly(true, false, 'true'),
      seq,
    };
    const frame = fc.oneof(
      {
        weight: 9,
        arbitrary: fc.record({ action, id, data, traceparent: trace, ...ofSessions }, { requiredKeys: [] }),
      },
      fc.jsonValue(),
    );
    const seen = new Map<string, Set<boolean>>();
    fc.assert(
      fc.property(frame, (frame) => {
        const text = JSON.stringify(frame);
        const json = JSON.parse(text);
        const documented = fromClient.some((name) => validatorOf(name, 'payload')(json));
        const name = fromClient.find((name) => json?.action === name) ?? 'another';
        seen.set(name, (seen.get(name) ?? new Set()).add(documented));
        return isTaken(text) === documented;
      }),
      { numRuns: 3000 },
    );
    for (const name of fromClient) expect([name, seen.get(name)?.size]).toEqual([name, 2]);
  });
});

describe('a request', () => {
  const styles: [RequestStyle, string][] = [
    ['event', 'requestEvent'],
    ['rpc', 'requestRpc'],
  ];

  test.each(styles)('in %s style is documented, whatever the client sent', (style, name) => {
    const request = fc.record(
      {
        messageId: fc.uuid({ version: 7 }),
        connectionId: fc.stringMatching(/^[A-Za-z0-9+/=_-]{1,64}$/),
        clientId: fc.option(fc.stringMatching(/^[\x20-\x7e]{1,64}$/)),
        userId: fc.stringMatching(/^[\x20-\x7e]{1,255}$/),
        data: fc.dictionary(fc.oneof(fc.string(), fc.constant('metadata')), fc.jsonValue()),
        sentAt: fc.nat(),
        traceparent: fc.constant(traceparent),
      },
      { requiredKeys: ['messageId', 'connectionId', 'clientId', 'data', 'sentAt', 'traceparent'] },
    );
    fc.assert(
      fc.property(request, (request) => {
        expectPacket(
          name,
          buildRequest(request, { apiQueue: 'api_queue', replyQueues: ['ws_queue', 'ws_queue.1'], style }),
        );
      }),
    );
  });

  test.each(styles)('in %s style is documented as the sender publishes it', async (style, name) => {
    const { published, publisher } = capture();
    const sender = createSender(publisher, { apiQueue: 'api_queue', replyQueues: ['ws_queue'], style }, noMetrics);
    const messageId = newMessageId();
    const ids = { messageId, traceparent: traceparentOf(messageId), connectionId: 'L0SM9cOFvHcCIhw=', clientId: '1' };
    await sender.send({ ...ids, data: { prompt: 'hi' } }, 0);
    expect(published).toHaveLength(1);
    expectPacket(name, published[0] as OutgoingMessage);
  });

  test.each(examples.filter(({ name }) => name === 'requestEvent' || name === 'requestRpc'))(
    '$title is what the code publishes for it',
    ({ name, example }) => {
      const { data } = example.payload as { data: { metadata: { user_id?: string } } };
      const { metadata, ...ofTheClient } = data;
      const { messageId, timestamp, headers, replyTo } = example.headers as Required<Properties>;
      const correlation = decodeCorrelation(example.headers?.correlationId);
      const request: Request = {
        messageId,
        connectionId: correlation?.connectionId ?? '',
        clientId: correlation?.clientId ?? null,
        ...(metadata.user_id === undefined ? {} : { userId: metadata.user_id }),
        data: ofTheClient,
        sentAt: timestamp * 1000,
        traceparent: String(headers.traceparent),
      };
      const style = name === 'requestRpc' ? 'rpc' : 'event';
      const { body, properties } = buildRequest(request, {
        apiQueue: 'api_queue',
        replyQueues: [replyTo],
        style,
      });
      expect(JSON.parse(String(body))).toEqual(example.payload);
      expect(properties).toEqual(example.headers);
      expect(metadata).toBeDefined();
      const { traceparent: parent } = parseFrame(JSON.stringify(message('send').examples.at(1)?.payload));
      expect(parent).toBeDefined();
      const ofAFrame = correlation?.clientId == null ? traceparentOf(messageId) : traceparentOf(messageId, parent);
      expect(headers.traceparent).toBe(ofAFrame);
    },
  );
});

describe('a reply', () => {
  const replies = examples.filter(({ name }) => message(name)['x-delivered'] !== undefined);

  test('of each form has examples', () => {
    expect([...new Set(replies.map(({ name }) => name))]).toEqual([
      'replyEvent',
      'replyResponse',
      'replyError',
      'replyPlain',
    ]);
    for (const { name } of replies) {
      const { 'x-delivered': delivered = {}, examples } = message(name);
      expect(Object.keys(delivered)).toEqual(examples.map(({ name }) => name));
    }
  });

  test.each(replies)('$title is read as the document says', ({ name, example }) => {
    const delivered = message(name)['x-delivered']?.[example.name];
    const { inReplyTo: _, ...parsed } = parseReply(deliveryOf(example));
    if (delivered == null) {
      expect(parsed).toEqual({ kind: 'nothing' });
      return;
    }
    const { connectionId, frame } = delivered;
    expect(parsed).toEqual({
      ...(frame.event === 'error' ? { kind: 'serviceError' } : { kind: 'reply', event: frame.event }),
      connectionId,
      clientId: frame.id ?? null,
      ...(frame.messageId === undefined ? {} : { messageId: frame.messageId }),
      ...(frame.traceparent === undefined ? {} : { traceparent: frame.traceparent }),
      data: frame.data,
    });
  });

  test.each(replies)('$title reaches the client as the document says', async ({ name, example }) => {
    const expected = message(name)['x-delivered']?.[example.name];
    const { posted, verdicts, deadLetters } = await take(deliveryOf(example));
    expect(verdicts).toEqual(['delivered']);
    expect(deadLetters).toEqual([]);
    expect(posted).toEqual(expected === null ? [] : [expected]);
    for (const { frame } of posted) expectDocumented(frame.event === 'error' ? 'error' : 'recv', frame);
  });

  test('has one form only', () => {
    for (const { name, example } of replies) {
      const forms = ['replyEvent', 'replyResponse', 'replyError', 'replyPlain'];
      expect(forms.filter((form) => validatorOf(form, 'payload')(example.payload))).toEqual([name]);
    }
  });

  test('is delivered exactly when it is documented, in a frame that is documented', async () => {
    const correlationId = fc.constantFrom(
      undefined,
      'other',
      encodeCorrelation({ messageId: 'm-1', connectionId: 'c-1', clientId: null }),
    );
    const to = (socket_id: string) => ({ metadata: { socket_id } });
    const value = fc.constantFrom<unknown>(null, 1, 'text', {}, to('c-1'), to('c-2'), { cmd: 'a' });
    const pattern = fc.constantFrom<unknown>('recv', '', 'ack', 5, { cmd: 'recv' }, { cmd: 'pong' }, {});
    const body = fc.oneof(
      fc.record({ pattern, data: value }),
      fc.record(
        {
          response: value,
          err: value,
          isDisposed: fc.boolean(),
          id: fc.constant('1'),
          status: value,
          took: value,
        },
        { requiredKeys: [] },
      ),
      fc.jsonValue(),
    );
    const seen = new Set<boolean>();
    await fc.assert(
      fc.asyncProperty(body, correlationId, async (json, correlationId) => {
        const payload = JSON.parse(JSON.stringify(json));
        const headers = correlationId === undefined ? {} : { correlationId };
        const forms = ['replyEvent', 'replyResponse', 'replyError', 'replyPlain'].filter(
          (form) => validatorOf(form, 'payload')(payload) && validatorOf(form, 'headers')(headers),
        );
        const answered = correlationId?.startsWith('gw1:') ? 'c-1' : undefined;
        const named = forms[0] === 'replyEvent' ? payload.data?.metadata?.socket_id : undefined;
        const receivers = new Set([answered, named].filter((id) => id !== undefined));
        const addressed = forms.length === 1 && receivers.size === 1;
        seen.add(addressed);
        const { verdicts, posted } = await take({
          queue: 'ws_queue',
          body: Buffer.from(JSON.stringify(json)),
          properties: headers,
          redelivered: false,
        });
        expect(verdicts).toEqual([addressed ? 'delivered' : 'malformed']);
        for (const { frame } of posted) expectDocumented(frame.event === 'error' ? 'error' : 'recv', frame);
      }),
      { numRuns: 500 },
    );
    expect(seen.size).toBe(2);
  });
});

describe('a dead letter', () => {
  const deadLetters = examples.filter(({ name }) => name === 'deadLetter');
  const outcomes: Record<string, PostOutcome> = {
    impossibleConnection: { result: 'bad_id' },
    tooLarge: { result: 'too_large' },
    forbidden: { result: 'forbidden', reason: 'ForbiddenException: Forbidden' },
    throttled: { result: 'transient', reason: 'API Gateway answered 429' },
  };

  test.each(deadLetters)('$title comes of the reply that it was', async ({ example }) => {
    const reply = deliveryOf(example);
    const {
      'x-verdict': verdict,
      'x-reason': reason,
      'x-first-seen': firstSeen,
      'x-attempts': _,
      'x-original-queue': queue,
      ...headers
    } = example.headers?.headers ?? {};
    // But for the time, as if it came for the first time.
    const properties = {
      ...reply.properties,
      headers: { ...headers, 'x-first-seen': firstSeen },
      deliveryMode: 1,
      userId: 'app',
      expiration: '1000',
    };
    const { verdicts, deadLetters } = await take(
      { ...reply, queue: String(queue), properties },
      outcomes[example.name],
    );
    expect(verdicts).toEqual([verdict]);
    expect(deadLetters).toHaveLength(1);
    const [deadLetter] = deadLetters as [OutgoingMessage];
    expect(deadLetter.queue).toBe('ws_queue.dead');
    expect(deadLetter.body).toEqual(reply.body);
    expect(withoutCounts(deadLetter.properties)).toEqual(withoutCounts(example.headers));
    expectValid(strictValidatorOf('deadLetter', 'headers'), deadLetter.properties);
    expect(tables('deadLetter', 'Verdict').map(([verdict, reason]) => `${verdict} ${reason}`)).toContainEqual(
      example.name === 'forbidden' ? expect.stringContaining('forbidden') : expect.stringContaining(String(reason)),
    );
  });

  test.each(deadLetters.filter(({ example }) => outcomes[example.name] === undefined))(
    '$title is refused as malformed, for the reason given',
    ({ example }) => {
      const reason = example.headers?.headers?.['x-reason'];
      expect(parseReply(deliveryOf(example))).toMatchObject({ kind: 'malformed', reason });
    },
  );

  test('has examples of every verdict', () => {
    const verdicts = deadLetters.map(({ example }) => example.headers?.headers?.['x-verdict']);
    expect([...new Set(verdicts)].sort()).toEqual([...(schemas.DeadLetterVerdict?.enum ?? [])].sort());
  });

  test('of a body that is not UTF-8, or of a frame beyond the limit, is documented too', async () => {
    const correlationId = encodeCorrelation({ messageId: 'm-1', connectionId: 'c-1', clientId: '1' });
    for (const body of [Buffer.from([0xff]), Buffer.from('x'.repeat(maxFrameBytes))]) {
      const { deadLetters } = await take({
        queue: 'ws_queue',
        body,
        properties: { correlationId },
        redelivered: false,
      });
      const [{ properties }] = deadLetters as [OutgoingMessage];
      expectValid(strictValidatorOf('deadLetter', 'headers'), properties);
      const reasons = tables('deadLetter', 'Verdict').map(([, reason]) => reason);
      expect(reasons).toContainEqual(expect.stringContaining(String(properties.headers?.['x-reason'])));
    }
  });
});

describe('PROTOCOL.md', () => {
  test.each(messageNames)('has a section on %s', (name) => {
    expect(sections().filter(({ heading }) => heading === name)).toHaveLength(1);
  });

  test('has JSON only in the sections on messages, and in each of them', () => {
    const withJson = sections().filter(({ blocks }) => blocks.length > 0);
    expect(withJson.map(({ heading }) => heading)).toEqual(messageNames);
  });

  const blocks = sections().flatMap(({ heading, blocks }) =>
    blocks.map((block, index) => ({ ...block, heading, title: `${heading}, block ${index + 1}` })),
  );

  test.each(blocks)('$title is an example of the document', ({ heading, kind, json }) => {
    expectValid(strictValidatorOf(heading, kind), json);
    expect(message(heading).examples.map((example) => example[kind])).toContainEqual(json);
  });

  test.each(messageNames)('has the fields of %s, and says which are required', (name) => {
    const { payload, headers } = message(name);
    const fieldsOf = (header: string) => tables(name, header).map(([field, , required]) => [field, required]);
    expect(fieldsOf('Field').sort()).toEqual(fields(payload).sort());
    expect(fieldsOf('Property').sort()).toEqual(headers === undefined ? [] : fields(headers).sort());
  });

  test('has a row for each error code, and says whether it is worth another try', () => {
    const rows = tables('Error codes', 'Code').map(([code, , retryable]) => [code, retryable]);
    expect(rows).toEqual(errorCodes.map((code) => [code, new GatewayError(code, '').retryable ? 'yes' : 'no']));
  });

  test('gives the limit of a message as the code has it, here and in the document', () => {
    const limits = [...`${prose}${source}`.matchAll(/(\d{4,}) bytes/g)].map(([, bytes]) => Number(bytes));
    expect(new Set(limits)).toEqual(new Set([maxFrameBytes]));
  });

  test('gives the bounds of a session as the code has them', () => {
    const { maxReplies, maxBytes, maxAgeSeconds, ttlSeconds } = sessionLimits;
    const seconds = (limit = '') => Number.parseInt(limit, 10) * (limit.endsWith(' hours') ? 3600 : 1);
    const rows = tables('Bounds', 'What').map(([, limit = '', reason]) => [seconds(limit.replaceAll(',', '')), reason]);
    expect(rows).toEqual([
      [maxReplies, 'too_many_replies'],
      [maxBytes, 'too_many_bytes'],
      [maxAgeSeconds, 'too_old'],
      [ttlSeconds, 'unknown'],
    ]);
    for (const { payload } of message('sessionOpened').examples) expect(payload).toMatchObject({ ttlSeconds });
  });

  test('names every reason for which a session is not taken over, or ends', () => {
    expect(message('sessionOpened').payload.properties?.reason?.enum).toEqual(refusals);
    expect(message('sessionEnded').payload.properties?.ended?.enum).toEqual([...refusals, 'taken_over']);
    for (const reason of [...refusals, 'taken_over']) expect(prose).toContain(`\`${reason}\``);
  });

  const diagrams = sections().flatMap(({ heading, lines }) => {
    const blocks = lines.join('\n').matchAll(/^```mermaid\n([\s\S]*?)^```$/gm);
    return [...blocks].map(([, diagram = '']) => ({ heading, diagram }));
  });

  test('draws each race', () => {
    const races = sections().map(({ heading }) => heading);
    const below = races.slice(races.indexOf('Races') + 1, races.indexOf('Packets'));
    expect(below).toHaveLength(8);
    expect(diagrams.map(({ heading }) => heading)).toEqual(below);
  });

  test.each(diagrams)('$heading is a diagram that can be drawn', ({ diagram }) => {
    const [first, ...lines] = diagram.trim().split('\n');
    expect(first).toBe('sequenceDiagram');
    const declared = new Set<string>();
    let open = 0;
    for (const line of lines) {
      const participant = /^ {2}participant (\w+) as [\w ,]+$/.exec(line)?.[1];
      const message = /^ +(\w+)-?-(?:>>|x)(\w+): [\w ,.?#-]+$/.exec(line);
      const note = /^ +Note over (\w+): [\w ,.-]+$/.exec(line)?.[1];
      if (participant !== undefined) declared.add(participant);
      else if (message !== null) for (const name of message.slice(1)) expect(declared).toContain(name);
      else if (note !== undefined) expect(declared).toContain(note);
      else if (/^ +par$/.test(line)) open += 1;
      else if (/^ +end$/.test(line)) open -= 1;
      else expect(line).toMatch(/^ +and$/);
    }
    expect(open).toBe(0);
  });

  test('links only to sections that it has', () => {
    const anchors = sections().map(({ heading }) => heading.toLowerCase().replaceAll(' ', '-'));
    for (const [, anchor] of prose.matchAll(/\]\(#([^)]*)\)/g)) expect(anchors).toContain(anchor);
  });
});

function message(name: string): Message {
  const found = messages[name];
  if (found === undefined) throw new Error(`The document has no message ${name}.`);
  return found;
}

function lastPart({ $ref }: { $ref: string }): string {
  return $ref.slice($ref.lastIndexOf('/') + 1);
}

function validators({ components }: Document) {
  const ajv = new Ajv({ allErrors: true, strictTypes: false });
  // Each schema is compiled by itself, in ajv's strict mode: a mistyped keyword fails here.
  const withRefs = (schema: unknown) =>
    JSON.parse(
      JSON.stringify(schema)
        .replaceAll('#/components/schemas/', '#/definitions/')
        .replace(/#\/components\/messages\/(\w+)\/payload/g, '#/definitions/payload of $1'),
    );
  const payloads = Object.entries(components.messages).map(([name, { payload }]) => [`payload of ${name}`, payload]);
  const definitions = withRefs({ ...components.schemas, ...Object.fromEntries(payloads) });
  const compiled = new Map<string, ValidateFunction>();
  return (name: string, part: 'payload' | 'headers'): ValidateFunction => {
    const key = `${name} ${part}`;
    const schema = components.messages[name]?.[part];
    if (schema === undefined) throw new Error(`The document has no schema for the ${part} of ${name}.`);
    const validate = compiled.get(key) ?? ajv.compile({ definitions, allOf: [withRefs(schema)] });
    compiled.set(key, validate);
    return validate;
  };
}

/** The document with every object that lists its properties closed: what the code adds to a frame must be listed. */
function closed(document: Document): Document {
  const copy = structuredClone(document);
  const close = (schema: Schema | undefined) => {
    if (schema?.properties === undefined) return;
    schema.additionalProperties ??= false;
    for (const inner of Object.values(schema.properties)) close(inner);
  };
  for (const schema of Object.values(copy.components.schemas)) close(schema);
  for (const { payload, headers } of Object.values(copy.components.messages)) {
    close(payload);
    close(headers);
  }
  return copy;
}

function expectValid(validate: ValidateFunction, value: unknown): void {
  validate(value);
  expect({ value, errors: validate.errors ?? [] }).toEqual({ value, errors: [] });
}

function expectDocumented(name: string, frame: unknown): void {
  expectValid(strictValidatorOf(name, 'payload'), frame);
}

function expectPacket(name: string, { body, properties }: OutgoingMessage): void {
  expectValid(strictValidatorOf(name, 'payload'), JSON.parse(String(body)));
  expectValid(strictValidatorOf(name, 'headers'), properties);
}

function overTheWire(frame: unknown): unknown {
  return JSON.parse(JSON.stringify(frame));
}

/** What the routes do before anything leaves the gateway. */
function isTaken(text: string): boolean {
  try {
    const frame = parseFrame(text);
    if (frame.action === 'send') {
      sessionIn(frame);
      checkMessage(frame.data);
    }
    if (frame.action === 'session') {
      claimIn(frame);
      readsBatches(frame);
    }
    if (frame.action === 'received') seqIn(frame);
    return fromClient.includes(frame.action);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    return false;
  }
}

function capture() {
  const published: OutgoingMessage[] = [];
  const publisher = {
    publish: async (message: OutgoingMessage) => void published.push(message),
    prepare() {},
    close: async () => undefined,
  };
  return { published, publisher };
}

/** An example as the consumer is given it: a payload that is a text is the body as it is. */
function deliveryOf({ payload, headers = {} }: Example): Delivery {
  const body = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  return { queue: 'ws_queue', body, properties: headers, redelivered: false };
}

/** Takes one reply through the consumer's own path, with a stand-in for API Gateway that gives one answer always. */
async function take(delivery: Delivery, outcome: PostOutcome = { result: 'delivered' }) {
  const posted: Delivered[] = [];
  const { published: deadLetters, publisher } = capture();
  const nothing = () => undefined;
  // Only a post that never succeeds comes to the deadline.
  const timeMs = outcome.result === 'transient' ? 200 : 20_000;
  const verdicts = await deliver(
    [delivery],
    Date.now() + timeMs,
    {
      post: async (connectionId, frame) => {
        posted.push({ connectionId, frame: JSON.parse(frame) });
        return outcome;
      },
      close: async () => 'closed',
      connections: { remove: async () => ({ result: 'kept' }) },
      sessions: createSessions(memorySessionStore()),
      deadLetters: amqpDeadLetters(publisher, 'ws_queue'),
      recent: recentDeliveries(),
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      metrics: noMetrics,
    },
    { ...defaultLimits, pauseMs: 10 },
  );
  return { posted, verdicts, deadLetters };
}

function withoutCounts(properties: unknown): unknown {
  const text = JSON.stringify(properties).replace(/after \d+ attempts/, 'after some attempts');
  return JSON.parse(text.replace(/"x-attempts":[1-9]\d*/, '"x-attempts":1'));
}

/** Every property by its path, and whether it is required where its parent stands. */
function fields(schema: Schema, prefix = ''): [string, string][] {
  const { properties = {}, required = [] } = resolved(schema);
  return Object.entries(properties).flatMap(([name, inner]) => [
    [prefix + name, required.includes(name) ? 'yes' : 'no'] as [string, string],
    ...fields(inner, `${prefix}${name}.`),
  ]);
}

function resolved(schema: Schema): Schema {
  return schema.$ref === undefined ? schema : (schemas[lastPart({ $ref: schema.$ref })] as Schema);
}

interface Section {
  /** Without backticks: a section on a message is headed by its name. */
  heading: string;
  lines: string[];
  /** Fenced JSON: a payload, or AMQP properties where the fence says `json properties`. */
  blocks: { kind: 'payload' | 'headers'; json: unknown }[];
}

function sections(): Section[] {
  return prose
    .split(/^(?=#+ )/m)
    .slice(1)
    .map((text) => {
      const [first = '', ...lines] = text.split('\n');
      const blocks = [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = '', json = '']) => {
        if (info === 'mermaid') return [];
        if (info !== 'json' && info !== 'json properties') throw new Error(`A block of another kind: ${info}`);
        return [{ kind: info === 'json' ? ('payload' as const) : ('headers' as const), json: JSON.parse(json) }];
      });
      return { heading: first.replace(/^#+ /, '').replaceAll('`', ''), lines, blocks: blocks.flat() };
    });
}

/** The rows of the table in a section whose first column is headed so; without the backticks around a cell. */
function tables(heading: string, firstColumn: string): string[][] {
  const lines = sections().find((section) => section.heading === heading)?.lines ?? [];
  const start = lines.findIndex((line) => line.startsWith('|') && line.split('|')[1]?.trim() === firstColumn);
  if (start < 0) return [];
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? rows.length : end).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
  );
}
