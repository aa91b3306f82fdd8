// @ts-expect-error: amqplib exports it to nobody
import { encodeTable } from '../node_modules/amqplib/lib/codec.js';
import type { OutgoingMessage, Properties } from './amqp';

/**
 * A message to the default exchange, mandatory, as AMQP 0-9-1 has it on the wire: the frames of the method, of the header and
 * of the body, in one piece. amqplib makes a buffer for each part and copies them twice, which costs as much as all else that
 * is done for a message.
 */

const frameMethod = 1;
const frameHeader = 2;
const frameBody = 3;
const frameEnd = 0xce;
/** Type, channel and size. */
const beforePayload = 7;
const frameOverhead = beforePayload + 1;

/** Class 60, method 40. */
const basicPublish = 0x003c0028;
/** Class 60, weight 0. */
const basicContent = 0x003c0000;
const mandatory = 1;
const hasHeaders = 0x2000;

/** All that stands before the body is made in here; behind the table there is room for whatever the texts hold. */
const head = Buffer.allocUnsafe(80 * 1024);
const roomForTable = head.subarray(0, 66 * 1024);

/**
 * @param maxFrameBytes as agreed with the broker.
 * Throws TypeError or RangeError for what AMQP cannot express.
 */
export function publishFrames(
  channel: number,
  { queue, body, properties }: OutgoingMessage,
  maxFrameBytes: number,
): Buffer {
  let at = head.writeUInt32BE(basicPublish, beforePayload);
  // A ticket that nobody reads, and the default exchange, whose name is empty.
  head.fill(0, at, at + 3);
  at = writeText(queue, at + 3);
  head[at] = mandatory;
  at = endFrame(frameMethod, channel, 0, at + 1);

  const headerAt = at;
  at = head.writeUInt32BE(basicContent, at + beforePayload);
  at = head.writeUInt32BE(Math.floor(body.length / 2 ** 32), at);
  at = head.writeUInt32BE(body.length % 2 ** 32, at);
  at = endFrame(frameHeader, channel, headerAt, writeProperties(properties, at));

  const step = maxFrameBytes - frameOverhead;
  const frames = Buffer.allocUnsafe(at + body.length + Math.ceil(body.length / step) * frameOverhead);
  head.copy(frames, 0, 0, at);
  for (let from = 0; from < body.length; from += step) {
    const to = Math.min(from + step, body.length);
    startFrame(frames, frameBody, channel, at, to - from);
    at += beforePayload + body.copy(frames, at + beforePayload, from, to);
    frames[at] = frameEnd;
    at += 1;
  }
  return frames;
}

/** In the order of their flags, from the highest bit down. */
function writeProperties(properties: Properties, flagsAt: number): number {
  let at = flagsAt + 2;
  let flags = hasHeaders;
  const text = (flag: number, value: string | undefined) => {
    if (value === undefined) return;
    flags |= flag;
    at = writeText(value, at);
  };
  const octet = (flag: number, value: number | undefined) => {
    if (value === undefined) return;
    flags |= flag;
    at = head.writeUInt8(value, at);
  };
  text(0x8000, properties.contentType);
  text(0x4000, properties.contentEncoding);
  at += encodeTable(roomForTable, properties.headers ?? {}, at);
  octet(0x1000, properties.deliveryMode);
  octet(0x0800, properties.priority);
  text(0x0400, properties.correlationId);
  text(0x0200, properties.replyTo);
  text(0x0100, properties.expiration);
  text(0x0080, properties.messageId);
  if (properties.timestamp !== undefined) {
    flags |= 0x0040;
    at = head.writeBigUInt64BE(BigInt(properties.timestamp), at);
  }
  text(0x0020, properties.type);
  text(0x0010, properties.userId);
  text(0x0008, properties.appId);
  head.writeUInt16BE(flags, flagsAt);
  return at;
}

/** A short string. @returns where it ends. */
function writeText(text: string, at: number): number {
  // More characters are more bytes in any case, and might not fit in here.
  const bytes = text.length > 255 ? text.length : head.write(text, at + 1);
  if (bytes > 255) throw new TypeError('A text of AMQP has 255 bytes at most.');
  head[at] = bytes;
  return at + 1 + bytes;
}

/** @param end of its payload. @returns where the frame ends. */
function endFrame(type: number, channel: number, start: number, end: number): number {
  startFrame(head, type, channel, start, end - start - beforePayload);
  head[end] = frameEnd;
  return end + 1;
}

function startFrame(bytes: Buffer, type: number, channel: number, at: number, payloadBytes: number): void {
  bytes[at] = type;
  bytes.writeUInt16BE(channel, at + 1);
  bytes.writeUInt32BE(payloadBytes, at + 3);
}
