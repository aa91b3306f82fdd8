import fc from 'fast-check';
import type { FieldType, FieldValue, Table } from '../../../infra/local/broker/fields';
import { type Arguments, type FieldKinds, METHODS, type MethodName } from '../../../infra/local/broker/methods';

/** Every value that AMQP 0-9-1 can carry, for the tests of its codec. */

const MAX_LONG = 2 ** 32 - 1;
const MAX_LONGLONG = 2n ** 64n - 1n;

const integer = (min: number, max: number) => fc.integer({ min, max });
const bytes = fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets));

// amqplib takes a table with the key "!" for a value whose type is spelled out, and keeps tables as objects, which
// put keys that look like an index first.
const key = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((text) => Buffer.byteLength(text) < 256 && text !== '__proto__' && text !== '!' && !/^\d+$/.test(text));

/** Of each type, what amqplib can write and read too: it has no integers above 53 bits. */
const SHARED: { [T in Exclude<FieldType, 'unsignedlong' | 'array' | 'table'>]: fc.Arbitrary<unknown> } = {
  longstr: fc.string({ unit: 'grapheme' }),
  binary: bytes,
  byte: integer(-128, 127),
  unsignedbyte: integer(0, 255),
  short: integer(-32768, 32767),
  unsignedshort: integer(0, 65535),
  signedint: integer(-(2 ** 31), 2 ** 31 - 1),
  unsignedint: integer(0, MAX_LONG),
  long: fc.bigInt({ min: -(2n ** 49n), max: 2n ** 49n }),
  timestamp: fc.bigInt({ min: 0n, max: 2n ** 49n }),
  float: fc.float({ noNaN: true, noDefaultInfinity: true }),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }),
  decimal: fc.record({ places: integer(0, 255), digits: integer(0, MAX_LONG) }),
  bool: fc.boolean(),
  void: fc.constant(null),
};

const ALL: { [T in Exclude<FieldType, 'array' | 'table'>]: fc.Arbitrary<unknown> } = {
  ...SHARED,
  longstr: fc.oneof(
    SHARED.longstr,
    bytes.filter((octets) => octets.includes(0xff)),
  ),
  long: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  unsignedlong: fc.bigInt({ min: 0n, max: MAX_LONGLONG }),
  timestamp: fc.bigInt({ min: 0n, max: MAX_LONGLONG }),
};

/** Nested, of all types that amqplib has; `allTables` of all there are. */
export const sharedTables = tablesOf(SHARED);
export const allTables = tablesOf(ALL);

export const SHARED_KINDS: { [K in keyof FieldKinds]: fc.Arbitrary<FieldKinds[K]> } = {
  octet: integer(0, 255),
  short: integer(0, 65535),
  long: integer(0, MAX_LONG),
  longlong: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
  bit: fc.boolean(),
  shortstr: key,
  longstr: bytes,
  table: sharedTables,
};

export const ALL_KINDS: typeof SHARED_KINDS = {
  ...SHARED_KINDS,
  longlong: fc.bigInt({ min: 0n, max: MAX_LONGLONG }),
  shortstr: fc.oneof(
    fc.string({ unit: 'grapheme' }).filter((text) => Buffer.byteLength(text) < 256),
    fc.string({ unit: 'grapheme-ascii', minLength: 255, maxLength: 255 }),
  ),
  table: allTables,
};

export function argumentsOf<N extends MethodName>(name: N, kinds: typeof SHARED_KINDS): fc.Arbitrary<Arguments<N>> {
  const fields = Object.entries(METHODS[name].fields) as [string, keyof FieldKinds][];
  const values: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(
    fields.map(([field, kind]) => [field, kinds[kind]]),
  );
  return fc.record(values) as fc.Arbitrary<Arguments<N>>;
}

function tablesOf(types: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Table> {
  const leaves = Object.entries(types).map(([type, values]) => values.map((value) => ({ type, value }) as FieldValue));
  return fc.letrec<{ value: FieldValue; table: Table }>((tie) => ({
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
}
