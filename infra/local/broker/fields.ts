import { isUtf8 } from 'node:buffer';
import {
  Malformed,
  readBytes,
  readLong,
  readLonglong,
  readLongstr,
  readOctet,
  readShort,
  reserve,
  type Sink,
  type Source,
  take,
  writeLong,
  writeLonglong,
  writeLongstr,
  writeOctet,
  writeShort,
  writeShortstr,
} from './bytes';

/**
 * Field tables, the arguments and headers of AMQP 0-9-1. They keep the type of every value, so a message
 * leaves with the bytes it came with. Names of types are RabbitMQ's, because its error texts contain them.
 */

export type FieldValue =
  /** A Buffer when the bytes are not UTF-8, which AMQP allows. */
  | { readonly type: 'longstr'; readonly value: string | Buffer }
  | { readonly type: 'binary'; readonly value: Buffer }
  | {
      readonly type: 'byte' | 'unsignedbyte' | 'short' | 'unsignedshort' | 'signedint' | 'unsignedint';
      readonly value: number;
    }
  | { readonly type: 'long' | 'unsignedlong' | 'timestamp'; readonly value: bigint }
  | { readonly type: 'float' | 'double'; readonly value: number }
  | { readonly type: 'decimal'; readonly value: { readonly places: number; readonly digits: number } }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'void'; readonly value: null }
  | { readonly type: 'array'; readonly value: readonly FieldValue[] }
  | { readonly type: 'table'; readonly value: Table };

export type Table = ReadonlyMap<string, FieldValue>;

// Far above any real table and far below what overflows the stack: a frame has room for 25,000 levels.
const MAX_DEPTH = 500;

export const longstr = (value: string): FieldValue => ({ type: 'longstr', value });
export const table = (entries: Record<string, FieldValue>): Table => new Map(Object.entries(entries));

export function readTable(source: Source, depth = 0): Table {
  if (depth > MAX_DEPTH) throw new Malformed('table too deep');
  const length = readLong(source);
  const end = take(source, length) + length;
  source.at -= length;
  const entries = new Map<string, FieldValue>();
  while (source.at < end) {
    const key = readBytes(source, readOctet(source));
    // Text that is not UTF-8 would not fit the same bytes again.
    if (!isUtf8(key)) throw new Malformed('table key is not UTF-8');
    entries.set(key.toString('utf8'), readValue(source, depth));
  }
  if (source.at !== end) throw new Malformed('table overruns its length');
  return entries;
}

export function writeTable(sink: Sink, value: Table): void {
  writeSized(sink, () => {
    for (const [key, field] of value) {
      writeShortstr(sink, key);
      writeValue(sink, field);
    }
  });
}

/** The number in an integer field of any width; undefined for every other type. */
export function integerOf(field: FieldValue): number | undefined {
  switch (field.type) {
    case 'byte':
    case 'unsignedbyte':
    case 'short':
    case 'unsignedshort':
    case 'signedint':
    case 'unsignedint':
      return field.value;
    case 'long':
    case 'unsignedlong':
      return Number(field.value);
    default:
      return undefined;
  }
}

/** The text in a string field; undefined for every other type. */
export function stringOf(field: FieldValue | undefined): string | undefined {
  return field?.type === 'longstr' ? field.value.toString() : undefined;
}

/** Equal as RabbitMQ's arguments and headers are: by value, whatever the width of an integer. */
export function sameValue(left: FieldValue, right: FieldValue): boolean {
  if (left.type === 'array') {
    return (
      right.type === 'array' &&
      left.value.length === right.value.length &&
      left.value.every((item, index) => sameValue(item, right.value[index] as FieldValue))
    );
  }
  if (left.type === 'table') {
    return (
      right.type === 'table' &&
      left.value.size === right.value.size &&
      [...left.value].every(([key, item]) => {
        const other = right.value.get(key);
        return other !== undefined && sameValue(item, other);
      })
    );
  }
  if (right.type === 'array' || right.type === 'table') return false;
  return comparable(left) === comparable(right);
}

function comparable(field: FieldValue): unknown {
  if (field.type === 'decimal') return `decimal ${field.value.places} ${field.value.digits}`;
  if (field.value instanceof Buffer) return field.value.toString('latin1');
  return typeof field.value === 'bigint' ? Number(field.value) : field.value;
}

function readValue(source: Source, depth: number): FieldValue {
  const tag = String.fromCharCode(readOctet(source));
  const { bytes } = source;
  switch (tag) {
    case 'S': {
      const text = readLongstr(source);
      return { type: 'longstr', value: isUtf8(text) ? text.toString('utf8') : Buffer.from(text) };
    }
    case 'x':
      return { type: 'binary', value: Buffer.from(readLongstr(source)) };
    case 'b':
      return { type: 'byte', value: bytes.readInt8(take(source, 1)) };
    case 'B':
      return { type: 'unsignedbyte', value: readOctet(source) };
    case 's':
      return { type: 'short', value: bytes.readInt16BE(take(source, 2)) };
    case 'u':
      return { type: 'unsignedshort', value: readShort(source) };
    case 'I':
      return { type: 'signedint', value: bytes.readInt32BE(take(source, 4)) };
    case 'i':
      return { type: 'unsignedint', value: readLong(source) };
    case 'l':
      return { type: 'long', value: bytes.readBigInt64BE(take(source, 8)) };
    case 'L':
      return { type: 'unsignedlong', value: readLonglong(source) };
    case 'T':
      return { type: 'timestamp', value: readLonglong(source) };
    case 'f':
      return { type: 'float', value: bytes.readFloatBE(take(source, 4)) };
    case 'd':
      return { type: 'double', value: bytes.readDoubleBE(take(source, 8)) };
    case 'D':
      return { type: 'decimal', value: { places: readOctet(source), digits: readLong(source) } };
    case 't':
      return { type: 'bool', value: readOctet(source) !== 0 };
    case 'V':
      return { type: 'void', value: null };
    case 'A':
      return { type: 'array', value: readArray(source, depth + 1) };
    case 'F':
      return { type: 'table', value: readTable(source, depth + 1) };
    default:
      throw new Malformed(`unknown field type ${JSON.stringify(tag)}`);
  }
}

function readArray(source: Source, depth: number): FieldValue[] {
  if (depth > MAX_DEPTH) throw new Malformed('array too deep');
  const length = readLong(source);
  const end = take(source, length) + length;
  source.at -= length;
  const items: FieldValue[] = [];
  while (source.at < end) items.push(readValue(source, depth));
  if (source.at !== end) throw new Malformed('array overruns its length');
  return items;
}

function writeValue(sink: Sink, field: FieldValue): void {
  reserve(sink, 16);
  const tag = (letter: string): number => {
    writeOctet(sink, letter.charCodeAt(0));
    return sink.at;
  };
  switch (field.type) {
    case 'longstr':
      tag('S');
      writeLongstr(sink, field.value);
      break;
    case 'binary':
      tag('x');
      writeLongstr(sink, field.value);
      break;
    case 'byte':
      sink.at = sink.bytes.writeInt8(field.value, tag('b'));
      break;
    case 'unsignedbyte':
      tag('B');
      writeOctet(sink, field.value);
      break;
    case 'short':
      sink.at = sink.bytes.writeInt16BE(field.value, tag('s'));
      break;
    case 'unsignedshort':
      tag('u');
      writeShort(sink, field.value);
      break;
    case 'signedint':
      sink.at = sink.bytes.writeInt32BE(field.value, tag('I'));
      break;
    case 'unsignedint':
      tag('i');
      writeLong(sink, field.value);
      break;
    case 'long':
      sink.at = sink.bytes.writeBigInt64BE(field.value, tag('l'));
      break;
    case 'unsignedlong':
      tag('L');
      writeLonglong(sink, field.value);
      break;
    case 'timestamp':
      tag('T');
      writeLonglong(sink, field.value);
      break;
    case 'float':
      sink.at = sink.bytes.writeFloatBE(field.value, tag('f'));
      break;
    case 'double':
      sink.at = sink.bytes.writeDoubleBE(field.value, tag('d'));
      break;
    case 'decimal':
      tag('D');
      writeOctet(sink, field.value.places);
      writeLong(sink, field.value.digits);
      break;
    case 'bool':
      tag('t');
      writeOctet(sink, field.value ? 1 : 0);
      break;
    case 'void':
      tag('V');
      break;
    case 'array': {
      tag('A');
      const items = field.value;
      writeSized(sink, () => {
        for (const item of items) writeValue(sink, item);
      });
      break;
    }
    case 'table':
      tag('F');
      writeTable(sink, field.value);
      break;
  }
}

function writeSized(sink: Sink, writeContent: () => void): void {
  const start = sink.at;
  writeLong(sink, 0);
  writeContent();
  sink.bytes.writeUInt32BE(sink.at - start - 4, start);
}
