import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newMessageId } from '../../lib/message-id';
import { readTraceparent, traceparentOf } from '../../lib/traceparent';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

describe('a traceparent', () => {
  test('of version 00 is read as it is, whatever its flags', () => {
    for (const flags of ['00', '01', 'ff']) {
      const text = `00-${traceId}-${spanId}-${flags}`;
      expect(readTraceparent(text)).toBe(text);
    }
  });

  test('of a later version is read as far as it is known', () => {
    expect(readTraceparent(`01-${traceId}-${spanId}-01`)).toBe(`00-${traceId}-${spanId}-01`);
    expect(readTraceparent(`cc-${traceId}-${spanId}-01-what-comes`)).toBe(`00-${traceId}-${spanId}-01`);
  });

  test.each([
    ['of version ff', `ff-${traceId}-${spanId}-01`],
    ['of version 00 that goes on', `00-${traceId}-${spanId}-01-more`],
    ['of a later version that goes on without a hyphen', `01-${traceId}-${spanId}-01more`],
    ['without a trace', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['without a span', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['in capitals', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['with a short trace', `00-${traceId.slice(1)}-${spanId}-01`],
    ['with a digit that is none', `00-${traceId.slice(1)}g-${spanId}-01`],
    ['without flags', `00-${traceId}-${spanId}`],
    ['with blanks around it', ` 00-${traceId}-${spanId}-01 `],
    ['with a line after it', `00-${traceId}-${spanId}-01\n`],
    ['that is empty', ''],
    ['that is a number', 5],
    ['that is null', null],
    ['that is absent', undefined],
    ['that is a list', [`00-${traceId}-${spanId}-01`]],
  ])('%s is none', (_, value) => expect(readTraceparent(value)).toBeUndefined());

  test('is read from any text without a fault, and then is valid itself', () => {
    const hex = (length: number) => fc.stringMatching(new RegExp(`^[\\da-f]{${length}}$`));
    const alike = fc
      .tuple(hex(2), hex(32), hex(16), hex(2), fc.constantFrom('', '-', '-x', 'x'))
      .map(([version, trace, span, flags, rest]) => `${version}-${trace}-${span}-${flags}${rest}`);
    fc.assert(
      fc.property(fc.oneof(alike, fc.string()), (text) => {
        const read = readTraceparent(text);
        if (read !== undefined) expect(readTraceparent(read)).toBe(read);
      }),
    );
  });
});

describe('the traceparent of a message', () => {
  test('continues the trace of its parent in a span of its own, with its flags', () => {
    const messageId = newMessageId();
    const [version, trace, span, flags] = traceparentOf(messageId, `00-${traceId}-${spanId}-00`).split('-');
    expect([version, trace, flags]).toEqual(['00', traceId, '00']);
    expect(span).not.toBe(spanId);
    expect(messageId.replaceAll('-', '')).toMatch(new RegExp(`${span}$`));
  });

  test('begins a trace that the messageId names, where it has no parent', () => {
    expect(traceparentOf('018bcfe5-6800-7C7D-9A53-2f8f6f1f3c11')).toBe(
      '00-018bcfe568007c7d9a532f8f6f1f3c11-9a532f8f6f1f3c11-01',
    );
  });

  test('is valid', () => {
    fc.assert(
      fc.property(fc.uuid({ version: 7 }), (messageId) => {
        const begun = traceparentOf(messageId);
        expect(readTraceparent(begun)).toBe(begun);
      }),
    );
  });
});
