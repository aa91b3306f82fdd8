import { connect } from 'node:net';
import { FRAME_METHOD, FrameReader } from '../../../infra/local/broker/framing';
import { CLOSE_OK } from './frames';

/** One hostile client on a socket of its own: how it sends, whether it reads, how it leaves, and what it was told. */

export interface Attack {
  readonly bytes: Buffer;
  /** So many bytes at a time; undefined is all at once. */
  readonly dribbleBytes: number | undefined;
  readonly reads: boolean;
  /** `answered`: once it was told of a mistake; `stays`: when it is let go, with its socket half open until then. */
  readonly leaves: 'politely' | 'rudely' | 'answered' | 'stays';
}

export interface Heard {
  /** What the broker closed the connection with; 'dropped' without a word, 'nothing' when it was the client that left. */
  readonly end: number | 'dropped' | 'nothing';
  readonly channelCodes: readonly number[];
}

const CONNECTION_CLOSE = (10 << 16) | 50;
const CHANNEL_CLOSE = (20 << 16) | 40;
const PATIENCE_MS = 20_000;

/** Resolves once the socket is closed. @throws (rejects) when the broker does not let go of a client that left politely */
export async function attack(
  port: number,
  { bytes, dribbleBytes, reads, leaves }: Attack,
  release: Promise<void>,
): Promise<Heard> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: leaves === 'stays' });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const channelCodes: number[] = [];
  let end: Heard['end'] = 'nothing';
  let left = false;
  let told = (): void => undefined;
  const answered = new Promise<void>((resolve) => {
    told = resolve;
  });
  const reader = new FrameReader(Number.MAX_SAFE_INTEGER);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    if (!left && end === 'nothing') end = 'dropped';
    told();
  });
  const onData = (chunk: Buffer) => {
    // Answers to a greeting that was none are no frames.
    if (chunk.subarray(0, 4).toString('latin1') === 'AMQP') return;
    reader.push(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      const { type, payload } = frame;
      if (type !== FRAME_METHOD) continue;
      // RabbitMQ's words are not always UTF-8, so that only the codes are read.
      const method = payload.readUInt32BE(0);
      if (method === CHANNEL_CLOSE) channelCodes.push(payload.readUInt16BE(4));
      if (method === CONNECTION_CLOSE) {
        end = payload.readUInt16BE(4);
        if (!left) socket.write(CLOSE_OK);
      }
      if (method === CHANNEL_CLOSE || method === CONNECTION_CLOSE) told();
    }
  };
  if (reads) socket.on('data', onData);
  else socket.pause();

  const step = dribbleBytes ?? Math.max(bytes.length, 1);
  const stays = leaves === 'stays' || !reads;
  for (let at = 0; at < bytes.length && socket.writable; at += step) {
    const sent = new Promise<void>((resolve) => socket.write(bytes.subarray(at, at + step), () => resolve()));
    // A broker that reads no more takes none of it.
    await Promise.race([sent, closed, ...(stays ? [release] : [])]);
  }
  if (leaves === 'answered') await inTime(answered, 'the broker does not answer');
  if (stays) await release;
  left = true;
  if (reads && (leaves === 'politely' || leaves === 'answered')) {
    socket.end();
    await inTime(closed, 'the broker does not hang up');
  } else {
    socket.resetAndDestroy();
    await closed;
  }
  return { end, channelCodes };
}

/** @throws (rejects) with the complaint when the event does not come */
export async function inTime(event: Promise<void>, complaint: string): Promise<void> {
  let impatience: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    impatience = setTimeout(() => reject(new Error(complaint)), PATIENCE_MS);
  });
  try {
    await Promise.race([event, late]);
  } finally {
    clearTimeout(impatience);
  }
}
