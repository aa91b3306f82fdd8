import { isUtf8 } from 'node:buffer';
import { frameError } from './errors';

/**
 * The primitive values of AMQP 0-9-1 on the wire, read from and written to a place in bytes: numbers and
 * strings.
 */

/** A place in bytes to read from. */
export interface Source {
  readonly bytes: Buffer;
  at: number;
}

/** Bytes to write to; grows. One is reused for every frame, so `written` copies. */
export interface Sink {
  bytes: Buffer;
  at: number;
}

// Of one UTF-16 unit.
const MAX_UTF8_BYTES = 3;
// Of the surrogates that no text begins with.
const ESCAPE = 0xdc00;

/** Thrown for bytes that cannot be what they should be; whoever reads decides what that means to the client. */
export class Malformed extends Error {}

export function readOctet(source: Source): number {
  return source.bytes.readUInt8(take(source, 1));
}

export function readShort(source: Source): number {
  return source.bytes.readUInt16BE(take(source, 2));
}

export function readLong(source: Source): number {
  return source.bytes.readUInt32BE(take(source, 4));
}

export function readLonglong(source: Source): bigint {
  return source.bytes.readBigUInt64BE(take(source, 8));
}

export function readSignedOctet(source: Source): number {
  return source.bytes.readInt8(take(source, 1));
}

export function readSignedShort(source: Source): number {
  return source.bytes.readInt16BE(take(source, 2));
}

export function readSignedLong(source: Source): number {
  return source.bytes.readInt32BE(take(source, 4));
}

export function readSignedLonglong(source: Source): bigint {
  return source.bytes.readBigInt64BE(take(source, 8));
}

export function readFloat(source: Source): number {
  return finite(source.bytes.readFloatBE(take(source, 4)));
}

export function readDouble(source: Source): number {
  return finite(source.bytes.readDoubleBE(take(source, 8)));
}

/** Text, or bytes that are not: those are kept as lone surrogates, which `writeShortstr` turns back into bytes. */
export function readShortstr(source: Source): string {
  const length = readOctet(source);
  return readUtf8(source, length) ?? escaped(source.bytes.subarray(take(source, length), source.at));
}

/** @throws AmqpError 501 when the bytes are not UTF-8 */
export function readName(source: Source): string {
  const name = readUtf8(source, readOctet(source));
  if (name === undefined) throw frameError('Malformed UTF-8 in shortstr');
  return name;
}

/** Undefined, and nothing is passed over, when the bytes are not UTF-8. */
export function readUtf8(source: Source, length: number): string | undefined {
  const start = take(source, length);
  const text = source.bytes.toString('utf8', start, source.at);
  // This character is what bytes that are not UTF-8 become; a client may also send it itself.
  if (!text.includes('\ufffd') || isUtf8(source.bytes.subarray(start, source.at))) return text;
  source.at = start;
  return undefined;
}

/** A copy. */
export function readLongstr(source: Source): Buffer {
  return readBytes(source, readLong(source));
}

export function createSink(size = 4096): Sink {
  return { bytes: Buffer.allocUnsafe(size), at: 0 };
}

export function written(sink: Sink): Buffer {
  const bytes = Buffer.allocUnsafe(sink.at);
  sink.bytes.copy(bytes, 0, 0, sink.at);
  return bytes;
}

export function writeOctet(sink: Sink, value: number): void {
  sink.at = reserve(sink, 1).writeUInt8(value, sink.at);
}

export function writeShort(sink: Sink, value: number): void {
  sink.at = reserve(sink, 2).writeUInt16BE(value, sink.at);
}

export function writeLong(sink: Sink, value: number): void {
  sink.at = reserve(sink, 4).writeUInt32BE(value, sink.at);
}

export function writeLonglong(sink: Sink, value: bigint): void {
  sink.at = reserve(sink, 8).writeBigUInt64BE(value, sink.at);
}

export function writeSignedOctet(sink: Sink, value: number): void {
  sink.at = reserve(sink, 1).writeInt8(value, sink.at);
}

export function writeSignedShort(sink: Sink, value: number): void {
  sink.at = reserve(sink, 2).writeInt16BE(value, sink.at);
}

export function writeSignedLong(sink: Sink, value: number): void {
  sink.at = reserve(sink, 4).writeInt32BE(value, sink.at);
}

export function writeSignedLonglong(sink: Sink, value: bigint): void {
  sink.at = reserve(sink, 8).writeBigInt64BE(value, sink.at);
}

export function writeFloat(sink: Sink, value: number): void {
  sink.at = reserve(sink, 4).writeFloatBE(value, sink.at);
}

export function writeDouble(sink: Sink, value: number): void {
  sink.at = reserve(sink, 8).writeDoubleBE(value, sink.at);
}

/** @throws RangeError above 255 bytes */
export function writeShortstr(sink: Sink, value: string): void {
  const bytes = reserve(sink, 1 + value.length * MAX_UTF8_BYTES);
  const start = sink.at + 1;
  const length = writeAscii(bytes, start, value) ? value.length : writeEscaped(bytes, start, value);
  if (length > 255) throw new RangeError('a short string holds 255 bytes');
  bytes[sink.at] = length;
  sink.at = start + length;
}

export function writeLongstr(sink: Sink, value: string | Buffer): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  writeLong(sink, bytes.length);
  sink.at += bytes.copy(reserve(sink, bytes.length), sink.at);
}

/** A copy. */
export function readBytes(source: Source, length: number): Buffer {
  return Buffer.from(source.bytes.subarray(take(source, length), source.at));
}

/** The bytes that follow their own length. */
export function readPart(source: Source): Source {
  const length = readLong(source);
  return { bytes: source.bytes.subarray(take(source, length), source.at), at: 0 };
}

/** Nearly all short strings are ASCII, and written in JavaScript in a third of the time of a call to native code. */
function writeAscii(bytes: Buffer, start: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return false;
    bytes[start + index] = code;
  }
  return true;
}

function escaped(bytes: Buffer): string {
  return Array.from(bytes, (byte) => String.fromCharCode(ESCAPE + byte)).join('');
}

function writeEscaped(bytes: Buffer, start: number, text: string): number {
  const first = text.charCodeAt(0);
  if (first < ESCAPE || first > ESCAPE + 0xff) return bytes.write(text, start);
  for (let index = 0; index < text.length; index += 1) bytes[start + index] = text.charCodeAt(index) - ESCAPE;
  return text.length;
}

/** RabbitMQ's language knows no other numbers. */
function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Malformed('not a number');
  return value;
}

/** Passes over that many bytes; where they started. @throws Malformed when there are fewer */
function take(source: Source, length: number): number {
  const start = source.at;
  if (start + length > source.bytes.length) throw new Malformed('bytes end too early');
  source.at = start + length;
  return start;
}

/** The sink's bytes, with room for so many more. */
function reserve(sink: Sink, length: number): Buffer {
  const needed = sink.at + length;
  if (needed > sink.bytes.length) {
    const larger = Buffer.allocUnsafe(Math.max(needed, sink.bytes.length * 2));
    sink.bytes.copy(larger, 0, 0, sink.at);
    sink.bytes = larger;
  }
  return sink.bytes;
}
