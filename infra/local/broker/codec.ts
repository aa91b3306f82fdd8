/** Methods and content properties to bytes and back, driven by the tables in methods.ts and PROPERTIES. */

import {
  createSink,
  Malformed,
  readLong,
  readLonglong,
  readLongstr,
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
import { AmqpError, causedBy, droppedByReader, erlangBinary, frameError } from './errors';
import { readTable, type Table, writeTable } from './fields';
import { type Arguments, type FieldKinds, METHODS, type Method, type MethodName } from './methods';

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

// In the order of their flags, from the highest bit down.
const PROPERTIES: readonly (readonly [keyof Properties, keyof FieldKinds])[] = [
  ['contentType', 'shortstr'],
  ['contentEncoding', 'shortstr'],
  ['headers', 'table'],
  ['deliveryMode', 'octet'],
  ['priority', 'octet'],
  ['correlationId', 'shortstr'],
  ['replyTo', 'shortstr'],
  ['expiration', 'shortstr'],
  ['messageId', 'shortstr'],
  ['timestamp', 'longlong'],
  ['type', 'shortstr'],
  ['userId', 'shortstr'],
  ['appId', 'shortstr'],
  ['clusterId', 'shortstr'],
];

interface Layout {
  readonly name: MethodName;
  readonly classId: number;
  readonly methodId: number;
  readonly fields: readonly (readonly [string, keyof FieldKinds])[];
}

const LAYOUTS = new Map<MethodName, Layout>();
const LAYOUTS_BY_ID = new Map<number, Layout>();
for (const [name, { id, fields }] of Object.entries(METHODS)) {
  const layout: Layout = {
    name: name as MethodName,
    classId: id[0],
    methodId: id[1],
    fields: Object.entries(fields),
  };
  LAYOUTS.set(layout.name, layout);
  LAYOUTS_BY_ID.set(id[0] * 0x10000 + id[1], layout);
}

const scratch = createSink(64 * 1024);

/**
 * The payload of a method frame.
 * @throws AmqpError 501 when the arguments do not fit the method; scope `socket` where RabbitMQ's reader crashes instead.
 */
export function decodeMethod(payload: Buffer): Method {
  const classId = payload.readUInt16BE(0);
  const methodId = payload.readUInt16BE(2);
  const layout = LAYOUTS_BY_ID.get(classId * 0x10000 + methodId);
  if (layout === undefined) throw droppedByReader(`unknown method ${classId}.${methodId}`);
  const source: Source = { bytes: payload, at: 4 };
  const args: Record<string, unknown> = {};
  try {
    let bits = 0;
    let nextBit = 8;
    for (const [field, kind] of layout.fields) {
      if (kind === 'bit') {
        if (nextBit === 8) {
          bits = readOctet(source);
          nextBit = 0;
        }
        args[field] = (bits & (1 << nextBit)) !== 0;
        nextBit += 1;
      } else {
        nextBit = 8;
        args[field] = readKind(source, kind);
      }
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    if (error.message.startsWith('unknown field type')) throw droppedByReader(error.message);
    throw cannotDecode(layout, payload);
  }
  if (source.at !== payload.length) throw cannotDecode(layout, payload);
  return { name: layout.name, args } as unknown as Method;
}

export function encodeMethod<N extends MethodName>(name: N, args: Arguments<N>): Buffer {
  const layout = LAYOUTS.get(name) as Layout;
  const values = args as Record<string, unknown>;
  const sink = scratch;
  sink.at = 0;
  writeShort(sink, layout.classId);
  writeShort(sink, layout.methodId);
  let nextBit = 8;
  for (const [field, kind] of layout.fields) {
    if (kind === 'bit') {
      if (nextBit === 8) {
        writeOctet(sink, 0);
        nextBit = 0;
      }
      if (values[field]) {
        sink.bytes[sink.at - 1] = (sink.bytes[sink.at - 1] ?? 0) | (1 << nextBit);
      }
      nextBit += 1;
    } else {
      nextBit = 8;
      writeKind(sink, kind, values[field]);
    }
  }
  return written(sink);
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
    // The lowest bit says that more flags follow; no class of AMQP 0-9-1 has that many properties, and RabbitMQ skips them.
    for (let more = flags & 1; more === 1; ) more = source.at < bytes.length ? readShort(source) & 1 : 0;
    for (const [index, [name, kind]] of PROPERTIES.entries()) {
      if (flags & (0x8000 >> index)) properties[name] = readKind(source, kind);
    }
    if (source.at !== bytes.length) throw new Malformed('more bytes than properties');
  } catch (error) {
    if (error instanceof Malformed || error instanceof AmqpError) {
      throw new AmqpError(541, '');
    }
    throw error;
  }
  return properties;
}

/** Flags and properties, as they stand in a content header behind the body size. */
export function encodeProperties(properties: Properties): Buffer {
  const sink = scratch;
  sink.at = 0;
  writeShort(sink, 0);
  let flags = 0;
  for (const [index, [name, kind]] of PROPERTIES.entries()) {
    if (properties[name] === undefined) continue;
    flags |= 0x8000 >> index;
    writeKind(sink, kind, properties[name]);
  }
  sink.bytes.writeUInt16BE(flags, 0);
  return written(sink);
}

function cannotDecode({ name }: Layout, payload: Buffer): AmqpError {
  return causedBy(name, frameError(`cannot decode ${erlangBinary(payload.subarray(4))}`));
}

function readKind(source: Source, kind: keyof FieldKinds): unknown {
  switch (kind) {
    case 'octet':
      return readOctet(source);
    case 'short':
      return readShort(source);
    case 'long':
      return readLong(source);
    case 'longlong':
      return readLonglong(source);
    case 'shortstr':
      return readShortstr(source);
    case 'longstr':
      return Buffer.from(readLongstr(source));
    case 'table':
      return readTable(source);
    case 'bit':
      throw new TypeError('bits are packed, not read one by one');
  }
}

function writeKind(sink: Sink, kind: keyof FieldKinds, value: unknown): void {
  switch (kind) {
    case 'octet':
      writeOctet(sink, value as number);
      break;
    case 'short':
      writeShort(sink, value as number);
      break;
    case 'long':
      writeLong(sink, value as number);
      break;
    case 'longlong':
      writeLonglong(sink, value as bigint);
      break;
    case 'shortstr':
      writeShortstr(sink, value as string);
      break;
    case 'longstr':
      writeLongstr(sink, value as Buffer);
      break;
    case 'table':
      writeTable(sink, value as Table);
      break;
    case 'bit':
      throw new TypeError('bits are packed, not written one by one');
  }
}
