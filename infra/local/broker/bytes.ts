import { isUtf8 } from 'node:buffer';
import { frameError } from './errors';

/**
 * The primitive values of AMQP 0-9-1 on the wire, read from and written to a place in bytes: integers and
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

/** Thrown for bytes that end too early or hold an unknown type; whoever reads decides what that means to the client. */
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

export function readShortstr(source: Source): string {
  const bytes = readBytes(source, readOctet(source));
  if (!isUtf8(bytes)) throw frameError('Malformed UTF-8 in shortstr');
  return bytes.toString('utf8');
}

export function readLongstr(source: Source): Buffer {
  return readBytes(source, readLong(source));
}

export function createSink(size = 4096): Sink {
  return { bytes: Buffer.allocUnsafe(size), at: 0 };
}

export function written(sink: Sink): Buffer {
  return Buffer.from(sink.bytes.subarray(0, sink.at));
}

export function writeOctet(sink: Sink, value: number): void {
  reserve(sink, 1);
  sink.at = sink.bytes.writeUInt8(value, sink.at);
}

export function writeShort(sink: Sink, value: number): void {
  reserve(sink, 2);
  sink.at = sink.bytes.writeUInt16BE(value, sink.at);
}

export function writeLong(sink: Sink, value: number): void {
  reserve(sink, 4);
  sink.at = sink.bytes.writeUInt32BE(value, sink.at);
}

export function writeLonglong(sink: Sink, value: bigint): void {
  reserve(sink, 8);
  sink.at = sink.bytes.writeBigUInt64BE(value, sink.at);
}

export function writeShortstr(sink: Sink, value: string): void {
  const length = Buffer.byteLength(value);
  if (length > 255) throw new RangeError('a short string holds 255 bytes');
  writeOctet(sink, length);
  reserve(sink, length);
  sink.at += sink.bytes.write(value, sink.at);
}

export function writeLongstr(sink: Sink, value: string | Buffer): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  writeLong(sink, bytes.length);
  reserve(sink, bytes.length);
  sink.at += bytes.copy(sink.bytes, sink.at);
}

export function readBytes(source: Source, length: number): Buffer {
  const start = take(source, length);
  return source.bytes.subarray(start, start + length);
}

/** Passes over that many bytes; where they started. @throws Malformed when there are fewer */
export function take(source: Source, length: number): number {
  const start = source.at;
  if (start + length > source.bytes.length) throw new Malformed('bytes end too early');
  source.at = start + length;
  return start;
}

/** Makes room for that many bytes. */
export function reserve(sink: Sink, length: number): void {
  const needed = sink.at + length;
  if (needed <= sink.bytes.length) return;
  const larger = Buffer.allocUnsafe(Math.max(needed, sink.bytes.length * 2));
  sink.bytes.copy(larger, 0, 0, sink.at);
  sink.bytes = larger;
}
