import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { errorCodes, GatewayError, toGatewayError } from '../../lib/errors';
import {
  ackFrame,
  errorFrame,
  idOf,
  maxFrameBytes,
  parseFrame,
  pongFrame,
  replyFrame,
  sessionEndedFrame,
  sessionFrame,
  traceparentIn,
  withSeq,
} from '../../lib/frames';

function refusal(body: unknown): string {
  try {
    parseFrame(body);
    return 'accepted';
  } catch (error) {
    return (error as GatewayError).code;
  }
}

describe('a frame from a client', () => {
  test('is read with its action, id and data', () => {
    expect(parseFrame('{"action":"send","id":"1","data":{"prompt":"hi"},"more":true}')).toEqual({
      action: 'send',
      id: '1',
      data: { prompt: 'hi' },
    });
  });

  test('may leave out id and data', () => {
    expect(parseFrame('{"action":"ping"}')).toEqual({ action: 'ping', id: null, data: undefined });
  });

  test('is of the trace that it names, and an invalid one is no fault', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const frame = (value: unknown) => JSON.stringify({ action: 'send', traceparent: value });
    expect(parseFrame(frame(traceparent)).traceparent).toBe(traceparent);
    for (const value of ['00-rubbish', 5, null, [traceparent]]) {
      expect(parseFrame(frame(value)).traceparent).toBeUndefined();
    }
  });

  test.each([
    ['no JSON', 'rubbish', 'bad_frame'],
    ['empty', '', 'bad_frame'],
    ['null', 'null', 'bad_frame'],
    ['an array', '[]', 'bad_frame'],
    ['a text', '"send"', 'bad_frame'],
    ['binary', Buffer.from('{"action":"ping"}'), 'bad_frame'],
    ['absent', undefined, 'bad_frame'],
    ['without an action', '{}', 'unknown_action'],
    ['with an action that is no text', '{"action":5}', 'unknown_action'],
    ['with an id that is no text', '{"action":"send","id":1}', 'bad_frame'],
    ['with an empty id', '{"action":"send","id":""}', 'bad_frame'],
    ['with a long id', `{"action":"send","id":"${'x'.repeat(65)}"}`, 'bad_frame'],
    ['with an id beyond ASCII', '{"action":"send","id":"ü"}', 'bad_frame'],
    ['with a control character in its id', '{"action":"send","id":"a\\u0000"}', 'bad_frame'],
    ['above the limit', `{"action":"send","data":{"a":"${'x'.repeat(maxFrameBytes)}"}}`, 'too_large'],
  ])('%s is refused', (_, body, code) => {
    expect(refusal(body)).toBe(code);
  });

  test('is accepted at exactly the limit, counted in bytes', () => {
    const frame = (text: string) => JSON.stringify({ action: 'send', data: { text } });
    const fill = (maxFrameBytes - frame('').length) / 2;
    expect(refusal(frame('ü'.repeat(fill)))).toBe('accepted');
    expect(refusal(frame(`${'ü'.repeat(fill)}x`))).toBe('too_large');
  });

  test('is parsed or refused with a code of the closed set, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((v) => JSON.stringify(v)),
        ),
        (body) => {
          const code = refusal(body);
          return code === 'accepted' || errorCodes.includes(code as never);
        },
      ),
    );
  });
});

describe('the id that an error answers to', () => {
  test('is the client’s, whenever it can be read', () => {
    expect(idOf('{"id":"7","action":"nonsense"}')).toBe('7');
    expect(idOf('{"id":7}')).toBeNull();
    expect(idOf('{"id":"7"')).toBeNull();
    expect(idOf(Buffer.from('{}'))).toBeNull();
  });

  test('is the one that parseFrame gives, for every frame that it accepts', () => {
    const id = fc.stringMatching(/^[\x20-\x7e]{1,64}$/);
    fc.assert(
      fc.property(id, fc.jsonValue(), (id, data) => {
        const body = JSON.stringify({ action: 'send', id, data });
        return idOf(body) === id && parseFrame(body).id === id;
      }),
    );
  });
});

describe('the trace of a frame', () => {
  test('is known whenever it can be read, even if the frame is refused', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(traceparentIn(JSON.stringify({ id: 5, traceparent }))).toBe(traceparent);
    for (const body of ['{"traceparent":"x"}', 'rubbish', '[]', '', undefined, Buffer.from('{}')]) {
      expect(traceparentIn(body)).toBeUndefined();
    }
  });
});

describe('a frame to a client', () => {
  test('carries the client’s id where there is one', () => {
    expect(ackFrame('1', 'm')).toEqual({ event: 'ack', id: '1', messageId: 'm' });
    expect(ackFrame(null, 'm')).toEqual({ event: 'ack', messageId: 'm' });
    expect(pongFrame(null)).toEqual({ event: 'pong' });
    expect(replyFrame({ event: 'recv', id: null, data: null })).toEqual({ event: 'recv', data: null });
    const whole = { event: 'done', id: '1', messageId: 'm', traceparent: 't', data: [] };
    expect(replyFrame(whole)).toEqual(whole);
  });

  test('tells that a message was sent before', () => {
    expect(ackFrame('1', 'm', true)).toEqual({ event: 'ack', id: '1', messageId: 'm', duplicate: true });
    expect(ackFrame('1', 'm', false)).toEqual({ event: 'ack', id: '1', messageId: 'm' });
  });

  test('tells of a session, with a reason only where one was refused', () => {
    const parts = { id: null, session: 's', token: 't', seq: 0 };
    const frame = { event: 'session', session: 's', token: 't', ttlSeconds: 300, seq: 0 };
    expect(sessionFrame({ ...parts, resumed: true, seq: 17 })).toEqual({ ...frame, resumed: true, seq: 17 });
    expect(sessionFrame({ ...parts, id: '1', resumed: false, reason: 'unknown' })).toEqual({
      ...frame,
      id: '1',
      resumed: false,
      reason: 'unknown',
    });
    expect(sessionEndedFrame('s', 'taken_over')).toEqual({ event: 'session', session: 's', ended: 'taken_over' });
  });

  test('has its number in a session right after its event, whatever that is called and whatever it holds', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), fc.nat(), (event, data, seq) => {
        const frame = JSON.parse(JSON.stringify(replyFrame({ event, id: '1', messageId: 'm', data })));
        const numbered = JSON.parse(withSeq(JSON.stringify(frame), seq));
        expect(numbered).toEqual({ ...frame, seq });
        expect(Object.keys(numbered).slice(0, 2)).toEqual(['event', 'seq']);
      }),
    );
  });

  test('tells an error without its cause', () => {
    const error = toGatewayError(new Error('password=secret'));
    expect(errorFrame(null, error)).toEqual({
      event: 'error',
      id: null,
      code: 'internal',
      message: 'The gateway failed to handle this message.',
      retryable: false,
    });
  });

  test.each(errorCodes)('tells whether %s is worth another try', (code) => {
    const transient = ['unroutable', 'unavailable', 'throttled'];
    expect(errorFrame('1', new GatewayError(code, 'why')).retryable).toBe(transient.includes(code));
  });
});
