import {
  createSink,
  Malformed,
  readLong,
  readLonglong,
  readLongstr,
  readName,
  readOctet,
  readShort,
  readShortstr,
  type Sink,
  type Source,
  writeLong,
  writeLonglong,
  writeLongstr,
  writeOctet,
  writeShort,
  writeShortstr,
  written,
} from './bytes';
import { AmqpError, causedBy, droppedByReader, frameError, internalError } from './errors';
import { MalformedTable, readTable, type Table, writeTable } from './fields';
import { type Arguments, type FieldKinds, METHODS, type Method, type MethodName } from './methods';

/** Methods and content properties to bytes and back, driven by the tables METHODS, PROPERTIES and KINDS. */

export interface Properties {
  contentType?: string;
  contentEncoding?: string;
  headers?: Table;
  deliveryMode?: number;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  expiration?: string;
  messageId?: string;
  timestamp?: bigint;
  type?: string;
  userId?: string;
  appId?: string;
  clusterId?: string;
}

/** How a kind of field stands on the wire. */
interface Kind<V> {
  read(source: Source): V;
  write(sink: Sink, value: V): void;
}

/** Bits have no place of their own: up to eight in a row share an octet. */
const KINDS: { readonly [K in Exclude<keyof FieldKinds, 'bit'>]: Kind<FieldKinds[K]> } = {
  octet: { read: readOctet, write: writeOctet },
  short: { read: readShort, write: writeShort },
  long: { read: readLong, write: writeLong },
  longlong: { read: readLonglong, write: writeLonglong },
  shortstr: { read: readName, write: writeShortstr },
  longstr: { read: readLongstr, write: writeLongstr },
  table: { read: readTable, write: writeTable },
};

// RabbitMQ does not ask whether properties are text.
const TEXT = { read: readShortstr, write: writeShortstr };

// In the order of their flags, from the highest bit down.
const PROPERTIES = [
  property('contentType', TEXT),
  property('contentEncoding', TEXT),
  property('headers', KINDS.table),
  property('deliveryMode', KINDS.octet),
  property('priority', KINDS.octet),
  property('correlationId', TEXT),
  property('replyTo', TEXT),
  property('expiration', TEXT),
  property('messageId', TEXT),
  property('timestamp', KINDS.longlong),
  property('type', TEXT),
  property('userId', TEXT),
  property('appId', TEXT),
  property('clusterId', TEXT),
];
const FIRST_FLAG = 0x8000;

interface MethodCodec {
  readonly name: MethodName;
  readonly classId: number;
  readonly methodId: number;
  readonly readArguments: (source: Source) => unknown;
  readonly writeArguments: (sink: Sink, args: unknown) => void;
}

const BY_NAME = new Map<MethodName, MethodCodec>();
const BY_ID = new Map<number, MethodCodec>();
for (const [method, { id, fields }] of Object.entries(METHODS)) {
  const name = method as MethodName;
  const [classId, methodId] = id;
  const codec = { name, classId, methodId, ...compiled(fields) };
  BY_NAME.set(name, codec);
  BY_ID.set(classId * 0x10000 + methodId, codec);
}

const scratch = createSink(64 * 1024);

/**
 * The payload of a method frame.
 * @throws AmqpError 501 when the arguments do not fit the method; scope `socket` where RabbitMQ's reader crashes
 * instead.
 */
export function decodeMethod(payload: Buffer): Method {
  const classId = payload.readUInt16BE(0);
  const methodId = payload.readUInt16BE(2);
  const codec = BY_ID.get(classId * 0x10000 + methodId);
  if (codec === undefined) throw droppedByReader(`unknown method ${classId}.${methodId}`);
  const source: Source = { bytes: payload, at: 4 };
  let args: unknown;
  try {
    args = codec.readArguments(source);
  } catch (error) {
    if (error instanceof MalformedTable) throw droppedByReader(error.message);
    if (error instanceof Malformed) throw cannotDecode(codec.name, payload);
    throw error;
  }
  if (source.at !== payload.length) throw cannotDecode(codec.name, payload);
  return { name: codec.name, args } as Method;
}

/** A method of the connection itself: RabbitMQ's reader stumbles over one that it cannot read. @throws AmqpError 541 */
export function decodeConnectionMethod(payload: Buffer): Method {
  try {
    return decodeMethod(payload);
  } catch (error) {
    throw error instanceof AmqpError && error.scope === 'connection' ? internalError() : error;
  }
}

/** The payload of a method frame. @throws RangeError for a short string above 255 bytes */
export function encodeMethod<N extends MethodName>(name: N, args: Arguments<N>): Buffer {
  const codec = BY_NAME.get(name) as MethodCodec;
  scratch.at = 0;
  writeShort(scratch, codec.classId);
  writeShort(scratch, codec.methodId);
  codec.writeArguments(scratch, args);
  return written(scratch);
}

/** Class and method number, for the error that a method caused. */
export function methodId(name: MethodName): { classId: number; methodId: number } {
  const [classId, id] = METHODS[name].id;
  return { classId, methodId: id };
}

/** The properties in a content header's payload, from its flags on. @throws AmqpError 541 as RabbitMQ does. */
export function decodeProperties(bytes: Buffer): Properties {
  const source: Source = { bytes, at: 0 };
  const properties: Record<string, unknown> = {};
  try {
    const flags = readShort(source);
    let flag = FIRST_FLAG;
    for (const { name, read } of PROPERTIES) {
      if (flags & flag) properties[name] = read(source);
      flag >>= 1;
    }
    if (source.at !== bytes.length) throw new Malformed('more bytes than properties');
  } catch (error) {
    if (error instanceof Malformed) throw new AmqpError(541, '');
    throw error;
  }
  return properties;
}

/** Flags and properties, as they stand in a content header behind the body size. */
export function encodeProperties(properties: Properties): Buffer {
  scratch.at = 0;
  writeShort(scratch, 0);
  let flags = 0;
  let flag = FIRST_FLAG;
  for (const { name, write } of PROPERTIES) {
    const value = properties[name];
    if (value !== undefined) {
      flags |= flag;
      write(scratch, value);
    }
    flag >>= 1;
  }
  scratch.bytes.writeUInt16BE(flags, 0);
  return written(scratch);
}

function property<V>(name: keyof Properties, kind: Kind<V>) {
  return { name, read: kind.read, write: kind.write as (sink: Sink, value: unknown) => void };
}

/**
 * Reads and writes the arguments of one method by straight code made of its row in METHODS. To walk the row each time
 * takes up to twice as long, and makes objects of no fixed shape.
 */
function compiled(
  fields: Readonly<Record<string, keyof FieldKinds>>,
): Pick<MethodCodec, 'readArguments' | 'writeArguments'> {
  const reads: string[] = [];
  const writes: string[] = [];
  let bits: string[] = [];
  const endOctet = () => {
    if (bits.length > 0) writes.push(`kinds.octet.write(sink, ${bits.join(' | ')});`);
    bits = [];
  };
  for (const [field, kind] of Object.entries(fields)) {
    if (kind !== 'bit' || bits.length === 8) endOctet();
    if (kind === 'bit') {
      const octet = bits.length === 0 ? '(octet = kinds.octet.read(source))' : 'octet';
      reads.push(`${field}: (${octet} & ${1 << bits.length}) !== 0`);
      bits.push(`args.${field} << ${bits.length}`);
    } else {
      reads.push(`${field}: kinds.${kind}.read(source)`);
      writes.push(`kinds.${kind}.write(sink, args.${field});`);
    }
  }
  endOctet();
  return new Function(
    'kinds',
    `return {
      readArguments(source) { let octet; return { ${reads.join(', ')} }; },
      writeArguments(sink, args) { ${writes.join(' ')} },
    };`,
  )(KINDS);
}

function cannotDecode(name: MethodName, payload: Buffer): AmqpError {
  return causedBy(name, frameError(`cannot decode <<${payload.subarray(4).join(',')}>>`));
}
