import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSink, written } from '../../../infra/local/broker/bytes';
import {
  decodeMethod,
  decodeProperties,
  encodeMethod,
  encodeProperties,
  type Properties,
} from '../../../infra/local/broker/codec';
import type { FieldValue, Table } from '../../../infra/local/broker/fields';
import { readTable, writeTable } from '../../../infra/local/broker/fields';
import { contentFrames, type Frame, FrameReader, frame } from '../../../infra/local/broker/framing';
import { type Arguments, type FieldKinds, METHODS, type MethodName } from '../../../infra/local/broker/methods';

// amqplib's own codec is the oracle. Its package exports hide it, so it is reached by path.
const amqplib = (file: string) => require(resolve(__dirname, '../../../node_modules/amqplib/lib', file));
const oracle = amqplib('codec.js') as {
  encodeTable(bytes: Buffer, table: object, at: number): number;
  decodeFields(bytes: Buffer): Record<string, unknown>;
};
const defs = amqplib('defs.js') as {
  decode(id: number, bytes: Buffer): Record<string, unknown>;
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
  info(id: number): { name: string } | undefined;
};

const int = (
  type: 'byte' | 'unsignedbyte' | 'short' | 'unsignedshort' | 'signedint' | 'unsignedint',
  min: number,
  max: number,
) => fc.integer({ min, max }).map((value): FieldValue => ({ type, value }));
// amqplib takes a table with the key "!" for a value whose type is spelled out.
const key = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((text) => Buffer.byteLength(text) < 256 && text !== '__proto__' && text !== '!');
const binary = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

// amqplib reads and writes these; the others are checked for what comes back only.
const sharedLeaves: fc.Arbitrary<FieldValue>[] = [
  fc.string({ unit: 'grapheme' }).map((value): FieldValue => ({ type: 'longstr', value })),
  binary.map((value): FieldValue => ({ type: 'binary', value })),
  int('byte', -128, 127),
  int('unsignedbyte', 0, 255),
  int('short', -32768, 32767),
  int('unsignedshort', 0, 65535),
  int('signedint', -(2 ** 31), 2 ** 31 - 1),
  int('unsignedint', 0, 2 ** 32 - 1),
  fc.bigInt({ min: -(2n ** 49n), max: 2n ** 49n }).map((value): FieldValue => ({ type: 'long', value })),
  fc.bigInt({ min: 0n, max: 2n ** 49n }).map((value): FieldValue => ({ type: 'timestamp', value })),
  fc.float({ noNaN: true }).map((value): FieldValue => ({ type: 'float', value })),
  fc.double({ noNaN: true }).map((value): FieldValue => ({ type: 'double', value })),
  fc
    .record({ places: fc.integer({ min: 0, max: 255 }), digits: fc.integer({ min: 0, max: 2 ** 32 - 1 }) })
    .map((value): FieldValue => ({ type: 'decimal', value })),
  fc.boolean().map((value): FieldValue => ({ type: 'bool', value })),
  fc.constant<FieldValue>({ type: 'void', value: null }),
];
const ownLeaves: fc.Arbitrary<FieldValue>[] = [
  ...sharedLeaves,
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): FieldValue => ({ type: 'unsignedlong', value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value): FieldValue => ({ type: 'long', value })),
  fc.constant<FieldValue>({ type: 'longstr', value: Buffer.from([0xff, 0xfe]) }),
];

const tables = (leaves: fc.Arbitrary<FieldValue>[]): fc.Arbitrary<Table> =>
  fc.letrec<{ value: FieldValue; table: Table }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      ...leaves,
      fc.array(tie('value'), { maxLength: 3 }).map((value): FieldValue => ({ type: 'array', value })),
      tie('table').map((value): FieldValue => ({ type: 'table', value })),
    ),
    table: fc
      .uniqueArray(fc.tuple(key, tie('value')), { maxLength: 4, selector: ([name]) => name })
      .map((entries) => new Map(entries)),
  })).table;

/** A field as amqplib takes and gives it; `explicit` names the type that it would otherwise guess. */
function plain(field: FieldValue, explicit: boolean): unknown {
  switch (field.type) {
    case 'table':
      return plainTable(field.value, explicit);
    case 'array':
      return field.value.map((item) => plain(item, explicit));
    case 'timestamp':
      return { '!': 'timestamp', value: Number(field.value) };
    case 'decimal':
      return { '!': 'decimal', value: field.value };
    case 'long':
      return explicit ? { '!': 'long', value: Number(field.value) } : Number(field.value);
    case 'byte':
    case 'short':
    case 'unsignedbyte':
    case 'unsignedshort':
    case 'unsignedint':
    case 'float':
    case 'double':
      return explicit ? { '!': field.type, value: field.value } : field.value;
    case 'signedint':
      return explicit ? { '!': 'int', value: field.value } : field.value;
    default:
      return field.value;
  }
}

function plainTable(table: Table, explicit: boolean): Record<string, unknown> {
  return Object.fromEntries([...table].map(([name, field]) => [name, plain(field, explicit)]));
}

function encoded(table: Table): Buffer {
  const sink = createSink(16);
  writeTable(sink, table);
  return written(sink);
}

describe('field tables', () => {
  test('are written as amqplib writes them', () => {
    fc.assert(
      fc.property(tables(sharedLeaves), (table) => {
        const bytes = Buffer.alloc(64 * 1024);
        // amqplib iterates an object, whose integer keys come first: the same order is asked of both.
        const ordered = new Map(Object.entries(Object.fromEntries(table)));
        const length = oracle.encodeTable(bytes, plainTable(ordered, true), 0);
        const reordered = readTable({ bytes, at: 0 });
        expect(encoded(reordered).equals(bytes.subarray(0, length))).toBe(true);
        expect(normal(reordered)).toEqual(normal(ordered));
      }),
    );
  });

  test('are read as amqplib reads them', () => {
    fc.assert(
      fc.property(tables(sharedLeaves), (table) => {
        expect(oracle.decodeFields(encoded(table).subarray(4))).toEqual(plainTable(table, false));
      }),
    );
  });

  test('come back as they went, of every type', () => {
    fc.assert(
      fc.property(tables(ownLeaves), (table) => {
        expect(readTable({ bytes: encoded(table), at: 0 })).toEqual(table);
      }),
    );
  });

  test('that nest too deep are refused rather than overflow the stack', () => {
    let nested: Buffer = Buffer.alloc(4);
    for (let depth = 0; depth < 10_000; depth += 1) {
      const head = Buffer.from([0, 0, 0, 0, 1, 0x61, 0x46]);
      head.writeUInt32BE(nested.length + 3, 0);
      nested = Buffer.concat([head, nested]);
    }
    expect(() => readTable({ bytes: nested, at: 0 })).toThrow('table too deep');
  });
});

/** Without regard to the order of keys. */
function normal(table: Table): unknown {
  const value = (field: FieldValue): unknown => {
    if (field.type === 'table') return normal(field.value);
    if (field.type === 'array') return field.value.map(value);
    return field;
  };
  return Object.fromEntries([...table].map(([name, field]) => [name, value(field)]));
}

const KINDS: { [K in keyof FieldKinds]: fc.Arbitrary<FieldKinds[K]> } = {
  octet: fc.integer({ min: 0, max: 255 }),
  short: fc.integer({ min: 0, max: 65535 }),
  long: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  longlong: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
  bit: fc.boolean(),
  shortstr: key,
  longstr: binary,
  table: tables(sharedLeaves),
};

function argumentsOf<N extends MethodName>(name: N): fc.Arbitrary<Arguments<N>> {
  const fields = Object.entries(METHODS[name].fields) as [string, keyof FieldKinds][];
  return fc.record(Object.fromEntries(fields.map(([field, kind]) => [field, KINDS[kind]]))) as fc.Arbitrary<
    Arguments<N>
  >;
}

/** As amqplib has them: numbers for 64 bits, plain objects for tables. */
function plainFields(fields: Record<string, unknown>, explicit: boolean): Record<string, unknown> {
  const plainValue = (value: unknown) => {
    if (value instanceof Map) return plainTable(value as Table, explicit);
    return typeof value === 'bigint' ? Number(value) : value;
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]));
}

describe('methods', () => {
  const names = Object.keys(METHODS) as MethodName[];
  const idOf = (name: MethodName) => METHODS[name].id[0] * 0x10000 + METHODS[name].id[1];

  test.each(names)('%s comes back as it went', (name) => {
    fc.assert(
      fc.property(argumentsOf(name), (args) => {
        expect(decodeMethod(encodeMethod(name, args))).toEqual({ name, args });
      }),
      { numRuns: 30 },
    );
  });

  const shared = names.filter((name) => defs.info(idOf(name)) !== undefined);

  test('amqplib knows nearly all of them', () => {
    expect(shared.length).toBeGreaterThan(60);
  });

  test.each(shared)('amqplib reads %s as it was written', (name) => {
    // What amqplib writes itself are reserved fields that it has renamed or leaves at zero.
    fc.assert(
      fc.property(argumentsOf(name), (args) => {
        const payload = encodeMethod(name, args);
        const read = defs.decode(idOf(name), payload.subarray(4));
        expect(plainFields(read, false)).toMatchObject(plainFields(without(args, RENAMED), false));
      }),
      { numRuns: 30 },
    );
  });

  test.each(shared)('%s is read as amqplib wrote it', (name) => {
    fc.assert(
      fc.property(argumentsOf(name), (args) => {
        const written = defs.encodeMethod(idOf(name), 7, plainFields(args, true));
        const [received] = frames([written]);
        expect(received).toMatchObject({ type: 1, channel: 7 });
        const { args: read } = decodeMethod((received as Frame).payload);
        expect(plainFields(without(read, RENAMED), false)).toEqual(plainFields(without(args, RENAMED), false));
      }),
      { numRuns: 30 },
    );
  });

  test('without all of their arguments are refused with 501', () => {
    const whole = encodeMethod('basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false });
    expect(() => decodeMethod(whole.subarray(0, 6))).toThrow('FRAME_ERROR - cannot decode <<0,0>>');
  });
});

const RENAMED: readonly string[] = ['outOfBand', 'channelId', 'knownHosts', 'clusterId', 'capabilities', 'insist'];

function without(fields: object, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

const properties: fc.Arbitrary<Properties> = fc.record(
  {
    contentType: key,
    contentEncoding: key,
    headers: tables(sharedLeaves),
    deliveryMode: KINDS.octet,
    priority: KINDS.octet,
    correlationId: key,
    replyTo: key,
    expiration: key,
    messageId: key,
    timestamp: KINDS.longlong,
    type: key,
    userId: key,
    appId: key,
    clusterId: key,
  },
  { requiredKeys: [] },
);

describe('properties', () => {
  const BASIC = 60;

  test('come back as they went', () => {
    fc.assert(
      fc.property(properties, (sent) => {
        expect(decodeProperties(encodeProperties(sent))).toEqual(sent);
      }),
    );
  });

  test('are read by amqplib as they were written, and the other way round', () => {
    fc.assert(
      fc.property(properties, (sent) => {
        const bytes = encodeProperties(sent);
        expect(plainFields(defs.decode(BASIC, bytes), false)).toMatchObject(plainFields({ ...sent }, false));
        const [received] = frames([defs.encodeProperties(BASIC, 7, 0, plainFields({ ...sent }, true))]);
        const read = decodeProperties((received as Frame).payload.subarray(12));
        expect(plainFields({ ...read }, false)).toEqual(plainFields({ ...sent }, false));
      }),
    );
  });

  test('whose bytes end too early are refused', () => {
    expect(() => decodeProperties(Buffer.from([0x80, 0, 9, 1]))).toThrow('INTERNAL_ERROR');
  });
});

/** The frames in chunks of a stream; payloads copied, as a reader must that keeps them. */
function frames(chunks: Buffer[], maxFrameBytes = 131_072): Frame[] {
  const reader = new FrameReader(maxFrameBytes);
  const found: Frame[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      found.push({ ...next, payload: Buffer.from(next.payload) });
    }
  }
  return found;
}

describe('frames', () => {
  const anyFrame = fc.record({
    type: fc.constantFrom(1, 2, 3, 8),
    channel: KINDS.short,
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });

  test('come out whole wherever the stream was cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat(2_400), { maxLength: 12 }), (sent, places) => {
        const stream = Buffer.concat(sent.map(({ type, channel, payload }) => frame(type, channel, payload)));
        const cuts = [...new Set([0, ...places.filter((at) => at < stream.length), stream.length])].sort(
          (a, b) => a - b,
        );
        const chunks = cuts.slice(1).map((end, index) => stream.subarray(cuts[index], end));
        expect(frames(chunks)).toEqual(sent);
      }),
    );
  });

  test('come out whole byte by byte', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 3 }), (sent) => {
        const stream = Buffer.concat(sent.map(({ type, channel, payload }) => frame(type, channel, payload)));
        expect(frames(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(sent);
      }),
      { numRuns: 30 },
    );
  });

  test('of content stay within the limit and add up to the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.integer({ min: 100, max: 1_000 }), (body, limit) => {
        const sent = contentFrames(9, Buffer.alloc(20), Buffer.alloc(14), Buffer.from(body), limit);
        const [method, header, ...bodies] = frames([sent], limit);
        expect([method?.type, header?.type]).toEqual([1, 2]);
        expect(
          bodies.every(({ type, channel, payload }) => type === 3 && channel === 9 && payload.length + 8 <= limit),
        ).toBe(true);
        expect(Buffer.concat(bodies.map(({ payload }) => payload)).equals(Buffer.from(body))).toBe(true);
      }),
    );
  });

  test('without their end octet, or above the limit, are refused with 501', () => {
    const unended = frame(1, 1, Buffer.from('ab'));
    unended[unended.length - 1] = 0;
    expect(() => frames([unended])).toThrow(
      'FRAME_ERROR - type 1, all octets = <<"ab">>: {invalid_frame_end_marker,0}',
    );
    expect(() => frames([frame(3, 1, Buffer.alloc(4097))], 4096)).toThrow(
      'FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}',
    );
  });
});
