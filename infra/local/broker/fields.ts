import {
  Malformed,
  readBytes,
  readDouble,
  readFloat,
  readLong,
  readLonglong,
  readLongstr,
  readOctet,
  readPart,
  readShort,
  readShortstr,
  readSignedLong,
  readSignedLonglong,
  readSignedOctet,
  readSignedShort,
  readUtf8,
  type Sink,
  type Source,
  writeDouble,
  writeFloat,
  writeLong,
  writeLonglong,
  writeLongstr,
  writeOctet,
  writeShort,
  writeShortstr,
  writeSignedLong,
  writeSignedLonglong,
  writeSignedOctet,
  writeSignedShort,
} from './bytes';

/**
 * Field tables, the arguments and headers of AMQP 0-9-1. They keep the type of every value, so a message
 * leaves with the bytes it came with. Names of types are RabbitMQ's, because its error texts contain them.
 */

interface FieldTypes {
  /** A Buffer when the bytes are not UTF-8, which AMQP allows. */
  longstr: string | Buffer;
  binary: Buffer;
  byte: number;
  unsignedbyte: number;
  short: number;
  unsignedshort: number;
  signedint: number;
  unsignedint: number;
  long: bigint;
  unsignedlong: bigint;
  timestamp: bigint;
  float: number;
  double: number;
  decimal: { readonly places: number; readonly digits: number };
  bool: boolean;
  void: null;
  array: readonly FieldValue[];
  table: Table;
}

export type FieldType = keyof FieldTypes;

export type FieldValue = { [T in FieldType]: { readonly type: T; readonly value: FieldTypes[T] } }[FieldType];

export type Table = ReadonlyMap<string, FieldValue>;

/** How a type of field stands on the wire: its letter, then its value. */
interface FieldCodec<V> {
  readonly tag: string;
  /** @param depth of the table or array that the field is in */
  read(source: Source, depth: number): V;
  write(sink: Sink, value: V): void;
}

const FIELDS: { readonly [T in FieldType]: FieldCodec<FieldTypes[T]> } = {
  longstr: { tag: 'S', read: readText, write: writeLongstr },
  binary: { tag: 'x', read: readLongstr, write: writeLongstr },
  byte: { tag: 'b', read: readSignedOctet, write: writeSignedOctet },
  unsignedbyte: { tag: 'B', read: readOctet, write: writeOctet },
  short: { tag: 's', read: readSignedShort, write: writeSignedShort },
  unsignedshort: { tag: 'u', read: readShort, write: writeShort },
  signedint: { tag: 'I', read: readSignedLong, write: writeSignedLong },
  unsignedint: { tag: 'i', read: readLong, write: writeLong },
  long: { tag: 'l', read: readSignedLonglong, write: writeSignedLonglong },
  unsignedlong: { tag: 'L', read: readLonglong, write: writeLonglong },
  timestamp: { tag: 'T', read: readLonglong, write: writeLonglong },
  float: { tag: 'f', read: readFloat, write: writeFloat },
  double: { tag: 'd', read: readDouble, write: writeDouble },
  decimal: {
    tag: 'D',
    read: (source) => ({ places: readOctet(source), digits: readLong(source) }),
    write(sink, { places, digits }) {
      writeOctet(sink, places);
      writeLong(sink, digits);
    },
  },
  bool: {
    tag: 't',
    read: (source) => readOctet(source) !== 0,
    write: (sink, value) => writeOctet(sink, value ? 1 : 0),
  },
  void: { tag: 'V', read: () => null, write: () => undefined },
  array: { tag: 'A', read: (source, depth) => readItems(readPart(source), depth + 1), write: writeArray },
  table: { tag: 'F', read: (source, depth) => readEntries(readPart(source), depth + 1), write: writeTable },
};

interface TaggedField extends FieldCodec<unknown> {
  readonly type: FieldType;
  readonly octet: number;
}

const BY_TYPE = new Map<FieldType, TaggedField>();
const BY_OCTET: TaggedField[] = [];
for (const [name, codec] of Object.entries(FIELDS)) {
  const type = name as FieldType;
  const octet = codec.tag.charCodeAt(0);
  const field = { ...(codec as FieldCodec<unknown>), type, octet };
  BY_TYPE.set(type, field);
  BY_OCTET[octet] = field;
}

// Far above any real table and far below what overflows the stack: a frame has room for 25,000 levels.
const MAX_DEPTH = 500;

/**
 * Its length fits, and what is in it does not: RabbitMQ does not take that for a mistake of the client's, but
 * stumbles.
 */
export class MalformedTable extends Malformed {}

export const longstr = (value: string): FieldValue => ({ type: 'longstr', value });
export const table = (entries: Record<string, FieldValue>): Table => new Map(Object.entries(entries));

/** @throws Malformed when its length does not fit; MalformedTable */
export function readTable(source: Source): Table {
  const entries = readPart(source);
  try {
    return readEntries(entries, 0);
  } catch (error) {
    throw error instanceof Malformed ? new MalformedTable(error.message) : error;
  }
}

export function writeTable(sink: Sink, value: Table): void {
  writeSized(sink, () => {
    for (const [key, field] of value) {
      writeShortstr(sink, key);
      writeField(sink, field);
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

/**
 * Equal as RabbitMQ's arguments and headers are: by value, whatever the width of a number. Inside of lists and tables
 * the width counts, and the order.
 */
export function sameValue(left: FieldValue, right: FieldValue): boolean {
  if (left.type === 'array') return right.type === 'array' && sameItems(left.value.entries(), right.value.entries());
  if (left.type === 'table') return right.type === 'table' && sameItems(left.value, right.value);
  if (right.type === 'array' || right.type === 'table') return false;
  return comparable(left) === comparable(right);
}

function sameItems(
  left: Iterable<readonly [key: unknown, item: FieldValue]>,
  right: Iterable<readonly [key: unknown, item: FieldValue]>,
): boolean {
  const [items, others] = [[...left], [...right]];
  return (
    items.length === others.length &&
    items.every(([key, item], index) => {
      const [otherKey, other] = others[index] as (typeof others)[number];
      return key === otherKey && item.type === other.type && sameValue(item, other);
    })
  );
}

/** Texts and binaries by their octets. */
function comparable(field: FieldValue): unknown {
  switch (field.type) {
    case 'decimal':
      return `decimal ${field.value.places} ${field.value.digits}`;
    case 'longstr':
    case 'binary':
      return Buffer.from(field.value).toString('latin1');
    case 'long':
    case 'unsignedlong':
    case 'timestamp':
      return Number.isSafeInteger(Number(field.value)) ? Number(field.value) : field.value;
    default:
      return field.value;
  }
}

function readEntries(source: Source, depth: number): Table {
  if (depth > MAX_DEPTH) throw new Malformed('nested too deep');
  const entries = new Map<string, FieldValue>();
  while (source.at < source.bytes.length) entries.set(readShortstr(source), readField(source, depth));
  return entries;
}

function readItems(source: Source, depth: number): FieldValue[] {
  if (depth > MAX_DEPTH) throw new Malformed('nested too deep');
  const items: FieldValue[] = [];
  while (source.at < source.bytes.length) items.push(readField(source, depth));
  return items;
}

function readField(source: Source, depth: number): FieldValue {
  const octet = readOctet(source);
  const field = BY_OCTET[octet];
  if (field === undefined) throw new Malformed(`unknown field type ${octet}`);
  return { type: field.type, value: field.read(source, depth) } as FieldValue;
}

function writeField(sink: Sink, { type, value }: FieldValue): void {
  const field = BY_TYPE.get(type) as TaggedField;
  writeOctet(sink, field.octet);
  field.write(sink, value);
}

function readText(source: Source): string | Buffer {
  const length = readLong(source);
  return readUtf8(source, length) ?? readBytes(source, length);
}

function writeArray(sink: Sink, items: readonly FieldValue[]): void {
  writeSized(sink, () => {
    for (const item of items) writeField(sink, item);
  });
}

function writeSized(sink: Sink, writeItems: () => void): void {
  const start = sink.at;
  writeLong(sink, 0);
  writeItems();
  sink.bytes.writeUInt32BE(sink.at - start - 4, start);
}
