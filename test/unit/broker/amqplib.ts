import { resolve } from 'node:path';
import type { FieldValue, Table } from '../../../infra/local/broker/fields';
import { METHODS, type MethodName } from '../../../infra/local/broker/methods';

/**
 * amqplib's codec, which the broker's must agree with byte for byte, and values in the form it takes and gives:
 * numbers for 64 bits, plain objects for tables. Its package exports hide the codec, so it is reached by path.
 */

const required = (file: string) => require(resolve(__dirname, '../../../node_modules/amqplib/lib', file));
const codec = required('codec.js') as {
  encodeTable(bytes: Buffer, table: object, at: number): number;
  decodeFields(bytes: Buffer): Record<string, unknown>;
};
const defs = required('defs.js') as {
  decode(id: number, bytes: Buffer): Record<string, unknown>;
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
  [exported: string]: unknown;
};

const BASIC_CLASS = 60;
const FRAME_HEADER_BYTES = 7;
const CONTENT_HEADER_BYTES = 12;

/** Class and number of every method that amqplib knows. */
export const amqplibMethods: (readonly [classId: number, methodId: number])[] = Object.values(defs)
  .filter((value) => typeof value === 'object' && value !== null && 'methodId' in value)
  .map((value) => value as { classId: number; methodId: number })
  .map(({ classId, methodId }) => [classId, methodId]);

export const amqplib = {
  encodeTable(table: Table): Buffer {
    const bytes = Buffer.alloc(256 * 1024);
    return bytes.subarray(0, codec.encodeTable(bytes, plainTable(table, 'typed'), 0));
  },
  decodeTable: (bytes: Buffer) => codec.decodeFields(bytes.subarray(4)),
  /** Payloads, as the broker's codec has them. */
  encodeMethod: (name: MethodName, args: object) =>
    payload(defs.encodeMethod(idOf(name), 1, plainFields(args, 'typed'))),
  decodeMethod: (name: MethodName, bytes: Buffer) => ({ ...defs.decode(idOf(name), bytes.subarray(4)) }),
  /** Properties start at their flags. */
  encodeProperties: (properties: object) =>
    payload(defs.encodeProperties(BASIC_CLASS, 1, 0, plainFields(properties, 'typed'))).subarray(CONTENT_HEADER_BYTES),
  decodeProperties: (bytes: Buffer) => set(defs.decode(BASIC_CLASS, bytes)),
};

/** `typed` names the types that amqplib would otherwise guess when it writes. */
type Form = 'typed' | 'read';

export function plainTable(table: Table, form: Form): Record<string, unknown> {
  return Object.fromEntries([...table].map(([name, field]) => [name, plain(field, form)]));
}

export function plainFields(fields: object, form: Form): Record<string, unknown> {
  const plainValue = (value: unknown) => {
    if (value instanceof Map) return plainTable(value as Table, form);
    return typeof value === 'bigint' ? Number(value) : value;
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plainValue(value)]));
}

function plain(field: FieldValue, form: Form): unknown {
  const value = typeof field.value === 'bigint' ? Number(field.value) : field.value;
  switch (field.type) {
    case 'table':
      return plainTable(field.value, form);
    case 'array':
      return field.value.map((item) => plain(item, form));
    case 'timestamp':
    case 'decimal':
      return { '!': field.type, value };
    case 'longstr':
    case 'binary':
    case 'bool':
    case 'void':
      return value;
    case 'signedint':
      return form === 'typed' ? { '!': 'int', value } : value;
    default:
      return form === 'typed' ? { '!': field.type, value } : value;
  }
}

/** amqplib gives every property, those that are not there as undefined. */
function set(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function payload(frame: Buffer): Buffer {
  return frame.subarray(FRAME_HEADER_BYTES, -1);
}

function idOf(name: MethodName): number {
  return METHODS[name].id[0] * 0x10000 + METHODS[name].id[1];
}
