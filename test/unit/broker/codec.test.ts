import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeMethod,
  decodeProperties,
  encodeMethod,
  encodeProperties,
  type Properties,
} from '../../../infra/local/broker/codec';
import { METHODS, type MethodName } from '../../../infra/local/broker/methods';
import { amqplib, amqplibMethods, plainFields } from './amqplib';
import { ALL_KINDS, argumentsOf, SHARED_KINDS } from './values';

const hex = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex');

describe('methods', () => {
  const names = Object.keys(METHODS) as MethodName[];

  test('are those of amqplib, none less and none more', () => {
    const sorted = (ids: readonly (readonly [number, number])[]) => ids.map(([c, m]) => c * 0x10000 + m).sort();
    expect(sorted(names.map((name) => METHODS[name].id))).toEqual(sorted(amqplibMethods));
  });

  describe.each(names)('%s', (name) => {
    test('is written as amqplib writes it, byte for byte, and read as amqplib reads it', () => {
      fc.assert(
        fc.property(argumentsOf(name, SHARED_KINDS), (args) => {
          const payload = encodeMethod(name, args);
          expect(payload).toEqual(amqplib.encodeMethod(name, args));
          expect(amqplib.decodeMethod(name, payload)).toEqual(plainFields(args, 'read'));
          expect(decodeMethod(payload)).toEqual({ name, args });
        }),
        { numRuns: 60 },
      );
    });

    test('comes back as it went, whatever its arguments', () => {
      fc.assert(
        fc.property(argumentsOf(name, ALL_KINDS), (args) => {
          expect(decodeMethod(encodeMethod(name, args))).toEqual({ name, args });
        }),
        { numRuns: 60 },
      );
    });

    test('is refused when it is cut off or longer than its arguments', () => {
      fc.assert(
        fc.property(argumentsOf(name, ALL_KINDS), fc.nat(), (args, place) => {
          const payload = encodeMethod(name, args);
          const refusal = expect.objectContaining({ code: 501, method: name });
          expect(failure(Buffer.concat([payload, Buffer.from([0])]))).toEqual(refusal);
          if (payload.length > 4)
            expect(failure(payload.subarray(0, 4 + (place % (payload.length - 4))))).toEqual(refusal);
        }),
        { numRuns: 20 },
      );
    });
  });

  test('have bits in the octet from the lowest up, and a new octet after another field', () => {
    const args = { ticket: 0, queue: 'q', passive: false, durable: true, exclusive: false, autoDelete: false };
    const payload = hex('0032 000a 0000 01 71 12 00000000');
    expect(encodeMethod('queue.declare', { ...args, nowait: true, arguments: new Map() })).toEqual(payload);
    const delivery = { consumerTag: 'c', deliveryTag: 258n, redelivered: true, exchange: '', routingKey: 'k' };
    expect(encodeMethod('basic.deliver', delivery)).toEqual(hex('003c 003c 01 63 0000000000000102 01 00 01 6b'));
  });

  test('that are not known, and tables that make no sense, drop the socket as RabbitMQ does', () => {
    expect(failure(hex('003c 0063'))).toMatchObject({ scope: 'socket' });
    expect(failure(hex('0032 000a 0000 00 00 00000003 01 61 7a'))).toMatchObject({ scope: 'socket' });
  });

  test('with names that are not UTF-8 are refused', () => {
    expect(failure(hex('0032 000a 0000 01 ff 00 00000000'))).toMatchObject({
      replyText: 'FRAME_ERROR - Malformed UTF-8 in shortstr',
    });
  });

  test('cannot be written with more than a short string holds', () => {
    expect(() => encodeMethod('basic.cancel-ok', { consumerTag: 'é'.repeat(128) })).toThrow(RangeError);
  });
});

/** What `decodeMethod` throws; undefined when it reads the bytes. */
function failure(payload: Buffer): unknown {
  try {
    decodeMethod(payload);
    return undefined;
  } catch (error) {
    return error;
  }
}

const propertiesOf = (kinds: typeof SHARED_KINDS): Required<{ [P in keyof Properties]: fc.Arbitrary<unknown> }> => ({
  contentType: kinds.shortstr,
  contentEncoding: kinds.shortstr,
  headers: kinds.table,
  deliveryMode: kinds.octet,
  priority: kinds.octet,
  correlationId: kinds.shortstr,
  replyTo: kinds.shortstr,
  expiration: kinds.shortstr,
  messageId: kinds.shortstr,
  timestamp: kinds.longlong,
  type: kinds.shortstr,
  userId: kinds.shortstr,
  appId: kinds.shortstr,
  clusterId: kinds.shortstr,
});

describe('properties', () => {
  test('are written as amqplib writes them, byte for byte, and read as amqplib reads them', () => {
    fc.assert(
      fc.property(fc.record(propertiesOf(SHARED_KINDS), { requiredKeys: [] }), (sent) => {
        const bytes = encodeProperties(sent as Properties);
        expect(bytes).toEqual(amqplib.encodeProperties(sent));
        expect(amqplib.decodeProperties(bytes)).toEqual(plainFields(sent, 'read'));
      }),
      { numRuns: 500 },
    );
  });

  test('come back as they went, whatever they are', () => {
    fc.assert(
      fc.property(fc.record(propertiesOf(ALL_KINDS), { requiredKeys: [] }), (sent) => {
        expect(decodeProperties(encodeProperties(sent as Properties))).toEqual(sent);
      }),
      { numRuns: 500 },
    );
  });

  test('are written as amqplib writes them in each of the 16,384 combinations of flags', () => {
    const all = fc.sample(fc.record(propertiesOf(SHARED_KINDS)), { numRuns: 1, seed: 1 })[0] as Record<string, unknown>;
    const names = Object.keys(all);
    const differing: string[][] = [];
    for (let flags = 0; flags < 1 << names.length; flags += 1) {
      const some = names.filter((_, index) => flags & (1 << index));
      const sent = Object.fromEntries(some.map((name) => [name, all[name]])) as Properties;
      const bytes = encodeProperties(sent);
      const back = Object.keys(decodeProperties(bytes));
      if (!bytes.equals(amqplib.encodeProperties(sent)) || back.join() !== some.join()) differing.push(some);
    }
    expect(differing).toEqual([]);
  });

  test('that are not text stay the bytes they are', () => {
    const bytes = hex('8020 02 c328 03 ffc328');
    const { contentType, ...others } = decodeProperties(bytes);
    expect(contentType).toBeDefined();
    expect(encodeProperties({ contentType, ...others } as Properties)).toEqual(bytes);
  });

  test.each([
    ['end too early', '8000 09 01'],
    ['go on after the last', '0000 00'],
    ['have flags that only more properties could have', '0001 0000'],
    ['have headers that make no sense', '2000 00000003 01 61 7a'],
  ])('that %s are refused with 541', (_, bytes) => {
    expect(() => decodeProperties(hex(bytes))).toThrow('INTERNAL_ERROR');
  });
});
