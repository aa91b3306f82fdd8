import { type AmqpError, brokenStream, erlangBinary, frameError, unexpectedFrame } from './errors';

/** Frames out of a stream of bytes, however TCP cut it, and frames to write. */

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;

/** A frame where it lies in what the socket read: copy what has to outlive the call. */
export class Frame {
  readonly type: number;
  readonly channel: number;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(type: number, channel: number, bytes: Buffer, start: number, end: number) {
    this.type = type;
    this.channel = channel;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  get size(): number {
    return this.#end - this.#start;
  }

  get payload(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  copyPayload(): Buffer {
    const copy = Buffer.allocUnsafe(this.size);
    this.#bytes.copy(copy, 0, this.#start, this.#end);
    return copy;
  }
}

const FRAME_END = 0xce;
const HEADER_BYTES = 7;
const SHOWN_BYTES = 16;
/** Type, channel, size and end: what a frame adds to its payload. */
export const FRAME_OVERHEAD = HEADER_BYTES + 1;

export const BASIC_CLASS = 60;
/** Class, weight and body size: what a content header has before the properties. */
export const CONTENT_HEADER_BYTES = 12;

export const HEARTBEAT = frame(FRAME_HEARTBEAT, 0, Buffer.alloc(0));

/**
 * Cuts frames out of the chunks pushed into it.
 * @throws AmqpError 501 from `next` for a frame without its end octet, and for one above the limit, after which
 * nothing can be read.
 */
export class FrameReader {
  maxFrameBytes: number;
  private chunks: Buffer[] = [];
  private length = 0;
  private offset = 0;
  private needed = HEADER_BYTES;

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  push(chunk: Buffer): void {
    if (this.needed === Number.POSITIVE_INFINITY) return;
    this.chunks.push(chunk);
    this.length += chunk.length;
  }

  /** Exactly `count` bytes that are not a frame: the protocol header. */
  takeRaw(count: number): Buffer | undefined {
    if (this.length - this.offset < count) return undefined;
    const bytes = this.joined().subarray(this.offset, this.offset + count);
    this.offset += count;
    return bytes;
  }

  next(): Frame | undefined {
    // Chunks are joined only once a whole frame is there: a client that dribbles bytes must not cost a copy for each.
    if (this.length - this.offset < this.needed) {
      this.forget();
      return undefined;
    }
    const bytes = this.joined();
    const start = this.offset;
    const type = bytes.readUInt8(start);
    const channel = bytes.readUInt16BE(start + 1);
    const size = bytes.readUInt32BE(start + 3);
    // RabbitMQ takes a payload of frame_max bytes although the frame around it is then larger than agreed.
    if (size > this.maxFrameBytes) {
      this.needed = Number.POSITIVE_INFINITY;
      throw brokenStream(
        `type ${type}, all octets = <<>>: {frame_too_large,${size},${this.maxFrameBytes - FRAME_OVERHEAD}}`,
      );
    }
    const end = start + HEADER_BYTES + size;
    if (bytes.length < end + 1) {
      this.needed = size + FRAME_OVERHEAD;
      return undefined;
    }
    const received = new Frame(type, channel, bytes, start + HEADER_BYTES, end);
    const marker = bytes[end] as number;
    this.offset = end + 1;
    this.needed = HEADER_BYTES;
    if (marker !== FRAME_END) {
      throw brokenStream(`${shownFrame(received)}: {invalid_frame_end_marker,${marker}}`);
    }
    return received;
  }

  private joined(): Buffer {
    if (this.chunks.length !== 1 || this.offset >= (this.chunks[0] as Buffer).length) {
      const rest = Buffer.concat(this.chunks).subarray(this.offset);
      this.chunks = [rest];
      this.length = rest.length;
      this.offset = 0;
    }
    return this.chunks[0] as Buffer;
  }

  /** Lets go of bytes that were read, so that a kept tail does not keep the chunk before it. */
  private forget(): void {
    if (this.offset === 0) return;
    if (this.offset === this.length) this.chunks = [];
    else this.chunks = [Buffer.from(this.joined().subarray(this.offset))];
    this.length -= this.offset;
    this.offset = 0;
  }
}

/** @throws AmqpError 501 for what is no frame of AMQP at all */
export function checkKind(received: Frame): void {
  const { type, size } = received;
  const known =
    (type === FRAME_HEADER && size >= CONTENT_HEADER_BYTES) ||
    type === FRAME_BODY ||
    (type === FRAME_METHOD && size >= 4) ||
    (type === FRAME_HEARTBEAT && size === 0);
  if (!known) throw frameError(`${shownFrame(received)}: unknown_frame`);
}

/** For a frame at a place where it cannot be. */
export function misplacedFrame(received: Frame): AmqpError {
  return unexpectedFrame(shownFrame(received));
}

/** As RabbitMQ's texts show a frame: its type, and how its payload begins. */
function shownFrame({ type, payload }: Frame): string {
  const octets = payload.length > SHOWN_BYTES ? `first ${SHOWN_BYTES}` : 'all';
  return `type ${type}, ${octets} octets = ${erlangBinary(payload.subarray(0, SHOWN_BYTES))}`;
}

export function frame(type: number, channel: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD);
  writeFrame(bytes, 0, type, channel, payload);
  return bytes;
}

/**
 * A method with its content: method frame, header frame, and as many body frames as the frame limit asks for.
 * @param properties flags and values, as they stand in a content header behind the body size
 */
export function contentFrames(
  channel: number,
  method: Buffer,
  properties: Buffer,
  body: Buffer,
  maxFrameBytes: number,
): Buffer {
  const step = maxFrameBytes - FRAME_OVERHEAD;
  const bodyFrames = Math.ceil(body.length / step);
  const headerBytes = CONTENT_HEADER_BYTES + properties.length;
  const bytes = Buffer.allocUnsafe(method.length + headerBytes + body.length + FRAME_OVERHEAD * (2 + bodyFrames));
  let at = writeFrame(bytes, 0, FRAME_METHOD, channel, method);

  at = startFrame(bytes, at, FRAME_HEADER, channel, headerBytes);
  at = bytes.writeUInt32BE(BASIC_CLASS * 0x10000, at);
  at = bytes.writeUInt32BE(Math.floor(body.length / 2 ** 32), at);
  at = bytes.writeUInt32BE(body.length % 2 ** 32, at);
  at += properties.copy(bytes, at);
  at = bytes.writeUInt8(FRAME_END, at);

  for (let from = 0; from < body.length; from += step) {
    at = writeFrame(bytes, at, FRAME_BODY, channel, body, from, Math.min(from + step, body.length));
  }
  return bytes;
}

function writeFrame(
  bytes: Buffer,
  start: number,
  type: number,
  channel: number,
  source: Buffer,
  from = 0,
  to = source.length,
): number {
  let at = startFrame(bytes, start, type, channel, to - from);
  at += source.copy(bytes, at, from, to);
  return bytes.writeUInt8(FRAME_END, at);
}

function startFrame(bytes: Buffer, at: number, type: number, channel: number, size: number): number {
  bytes[at] = type;
  bytes.writeUInt16BE(channel, at + 1);
  return bytes.writeUInt32BE(size, at + 3);
}
