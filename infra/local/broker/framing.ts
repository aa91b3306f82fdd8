import { erlangBinary, frameError } from './errors';

/** Frames out of a stream of bytes, however TCP cut it, and frames to write. */

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;

export interface Frame {
  readonly type: number;
  readonly channel: number;
  /** A view of what the socket read: copy what has to outlive the call. */
  readonly payload: Buffer;
}

const FRAME_END = 0xce;
const HEADER_BYTES = 7;
/** Type, channel, size and end: what a frame adds to its payload. */
export const FRAME_OVERHEAD = HEADER_BYTES + 1;

export const HEARTBEAT = frame(FRAME_HEARTBEAT, 0, Buffer.alloc(0));

/**
 * Cuts frames out of the chunks pushed into it.
 * @throws AmqpError 501 from `next` for a frame without its end octet, and for one above the limit, after which nothing can be read.
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
      throw frameError(
        `type ${type}, all octets = <<>>: {frame_too_large,${size},${this.maxFrameBytes - FRAME_OVERHEAD}}`,
      );
    }
    const end = start + HEADER_BYTES + size;
    if (bytes.length < end + 1) {
      this.needed = size + FRAME_OVERHEAD;
      return undefined;
    }
    const payload = bytes.subarray(start + HEADER_BYTES, end);
    const marker = bytes[end] as number;
    this.offset = end + 1;
    this.needed = HEADER_BYTES;
    if (marker !== FRAME_END) {
      throw frameError(`type ${type}, all octets = ${erlangBinary(payload)}: {invalid_frame_end_marker,${marker}}`);
    }
    return { type, channel, payload };
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
    else this.chunks = [Buffer.from(Buffer.concat(this.chunks).subarray(this.offset))];
    this.length -= this.offset;
    this.offset = 0;
  }
}

/** @throws AmqpError 501 for what is no frame of AMQP at all */
export function checkKind({ type, payload }: Frame): void {
  const known =
    type === FRAME_HEADER ||
    type === FRAME_BODY ||
    (type === FRAME_METHOD && payload.length >= 4) ||
    (type === FRAME_HEARTBEAT && payload.length === 0);
  if (!known) throw frameError(`type ${type}, all octets = ${erlangBinary(payload)}: unknown_frame`);
}

export function frame(type: number, channel: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(payload.length + FRAME_OVERHEAD);
  writeFrame(bytes, 0, type, channel, payload);
  return bytes;
}

/** A method with its content: method frame, header frame, and as many body frames as the frame limit asks for. */
export function contentFrames(
  channel: number,
  method: Buffer,
  header: Buffer,
  body: Buffer,
  maxFrameBytes: number,
): Buffer {
  const step = maxFrameBytes - FRAME_OVERHEAD;
  const bodyFrames = Math.ceil(body.length / step);
  const bytes = Buffer.allocUnsafe(method.length + header.length + body.length + FRAME_OVERHEAD * (2 + bodyFrames));
  let at = writeFrame(bytes, 0, FRAME_METHOD, channel, method);
  at = writeFrame(bytes, at, FRAME_HEADER, channel, header);
  for (let from = 0; from < body.length; from += step) {
    at = writeFrame(bytes, at, FRAME_BODY, channel, body.subarray(from, from + step));
  }
  return bytes;
}

function writeFrame(bytes: Buffer, at: number, type: number, channel: number, payload: Buffer): number {
  bytes[at] = type;
  bytes.writeUInt16BE(channel, at + 1);
  bytes.writeUInt32BE(payload.length, at + 3);
  payload.copy(bytes, at + HEADER_BYTES);
  const end = at + HEADER_BYTES + payload.length;
  bytes[end] = FRAME_END;
  return end + 1;
}
