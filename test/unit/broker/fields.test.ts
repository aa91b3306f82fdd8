import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSink, written } from '../../../infra/local/broker/bytes';
import { type FieldValue, MalformedTable, readTable, type Table, writeTable } from '../../../infra/local/broker/fields';
import { amqplib, plainTable } from './amqplib';
import { allTables, sharedTables } from './values';

describe('field tables', () => {
  test('are written as amqplib writes them, byte for byte', () => {
    fc.assert(
      fc.property(sharedTables, (table) => {
        expect(encoded(table)).toEqual(amqplib.encodeTable(table));
      }),
      { numRuns: 500 },
    );
  });

  test('are read as amqplib reads them', () => {
    fc.assert(
      fc.property(sharedTables, (table) => {
        expect(amqplib.decodeTable(encoded(table))).toEqual(plainTable(table, 'read'));
        expect(decoded(amqplib.encodeTable(table))).toEqual(table);
      }),
      { numRuns: 500 },
    );
  });

  test('come back as they went, of every type', () => {
    fc.assert(
      fc.property(allTables, (table) => {
        expect(decoded(encoded(table))).toEqual(table);
      }),
      { numRuns: 500 },
    );
  });

  // Every letter that RabbitMQ has; the values are those at which a wrong width or sign shows.
  test.each<[FieldValue, string]>([
    [{ type: 'longstr', value: 'é' }, '53 00000002 c3a9'],
    [{ type: 'longstr', value: Buffer.from([0xff]) }, '53 00000001 ff'],
    [{ type: 'binary', value: Buffer.from('é') }, '78 00000002 c3a9'],
    [{ type: 'byte', value: -2 }, '62 fe'],
    [{ type: 'unsignedbyte', value: 254 }, '42 fe'],
    [{ type: 'short', value: -2 }, '73 fffe'],
    [{ type: 'unsignedshort', value: 65534 }, '75 fffe'],
    [{ type: 'signedint', value: -2 }, '49 fffffffe'],
    [{ type: 'unsignedint', value: 2 ** 32 - 2 }, '69 fffffffe'],
    [{ type: 'long', value: -2n }, '6c fffffffffffffffe'],
    [{ type: 'unsignedlong', value: 2n ** 64n - 2n }, '4c fffffffffffffffe'],
    [{ type: 'timestamp', value: 2n ** 64n - 2n }, '54 fffffffffffffffe'],
    [{ type: 'float', value: -1.5 }, '66 bfc00000'],
    [{ type: 'double', value: -1.5 }, '64 bff8000000000000'],
    [{ type: 'decimal', value: { places: 2, digits: 2 ** 32 - 2 } }, '44 02 fffffffe'],
    [{ type: 'bool', value: true }, '74 01'],
    [{ type: 'void', value: null }, '56'],
    [{ type: 'array', value: [{ type: 'void', value: null }] }, '41 00000001 56'],
    [{ type: 'table', value: new Map([['b', { type: 'void', value: null }]]) }, '46 00000003 01 62 56'],
  ])('have %j as the protocol says', (field, hex) => {
    const bytes = sized(Buffer.concat([Buffer.from('\x01a'), Buffer.from(hex.replaceAll(' ', ''), 'hex')]));
    const table = new Map([['a', field]]);
    expect(encoded(table)).toEqual(bytes);
    expect(decoded(bytes)).toEqual(table);
  });

  test('keep keys that are not text', () => {
    const bytes = sized(Buffer.from([2, 0xc3, 0x28, 0x56]));
    expect(encoded(decoded(bytes))).toEqual(bytes);
  });

  test.each([
    ['of a type that is not known', [1, 0x61, 0x7a]],
    ['that end within a value', [1, 0x61, 0x49, 0]],
    ['that end within a key', [5, 0x61]],
    ['with a table that is longer than the one around it', [1, 0x61, 0x46, 0, 0, 0, 1]],
    ['with a number that is none', [1, 0x61, 0x66, 0x7f, 0xc0, 0, 0]],
  ])('%s are refused', (_, octets) => {
    expect(() => decoded(sized(Buffer.from(octets)))).toThrow(MalformedTable);
  });

  test('that nest too deep are refused rather than overflow the stack', () => {
    let nested: Buffer = Buffer.alloc(4);
    for (let depth = 0; depth < 10_000; depth += 1) {
      nested = sized(Buffer.concat([Buffer.from('\x01aF'), nested]));
    }
    expect(() => decoded(nested)).toThrow('nested too deep');
  });
});

function encoded(table: Table): Buffer {
  // So small that it must grow.
  const sink = createSink(16);
  writeTable(sink, table);
  return written(sink);
}

function decoded(bytes: Buffer): Table {
  return readTable({ bytes, at: 0 });
}

function sized(entries: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(entries.length);
  return Buffer.concat([length, entries]);
}
