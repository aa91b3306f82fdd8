import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FRAME_METHOD, FRAME_OVERHEAD } from '../../../infra/local/broker/framing';
import { type Arguments, METHODS, type MethodName } from '../../../infra/local/broker/methods';
import { content, method, PROTOCOL_HEADER } from '../../helpers/amqp-frames';

/**
 * An AMQP client that costs next to nothing, so that a measurement is one of the broker: it writes frames made
 * beforehand, and of what it reads it looks at tags alone. It trusts the broker and its own workloads.
 */

interface RawEvents {
  /** basic.ack to a publisher, of this tag and all before it: one queue confirms in order. */
  onConfirm?(tag: number): void;
  onDelivery?(tag: number): void;
  /** All that one read brought is handled: the moment to write what it asked for, in one go. */
  onReadEnd?(): void;
}

export interface RawClient {
  events: RawEvents;
  write(bytes: Buffer): void;
  /** Sends the method and waits for its answer. */
  call<N extends MethodName>(name: N, args?: Partial<Arguments<N>>): Promise<void>;
  close(): Promise<void>;
}

const CHANNEL = 1;
const TRANSIENT = 1;
// Type, channel and size; class and method follow.
const FRAME_HEADER_BYTES = 7;
const METHOD_BYTES = 4;
/** With a tag of eight bytes and an octet for `multiple`. */
export const ACK_FRAME_BYTES = FRAME_OVERHEAD + METHOD_BYTES + 9;

const methodNumber = (name: MethodName) => METHODS[name].id[0] * 0x10000 + METHODS[name].id[1];
const ACK = methodNumber('basic.ack');
const DELIVER = methodNumber('basic.deliver');
const CLOSES = new Set([methodNumber('connection.close'), methodNumber('channel.close')]);

/** With one channel open. @param url of a broker on this machine, whose user uses PLAIN */
export async function openRawClient(url: string): Promise<RawClient> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const client = startReading(socket);
  const response = Buffer.from(`\0${decodeURIComponent(username)}\0${decodeURIComponent(password)}`);
  const clientProperties = new Map();
  await client.exchange(PROTOCOL_HEADER);
  await client.exchange(
    method(0, 'connection.start-ok', { clientProperties, mechanism: 'PLAIN', response, locale: 'en_US' }),
  );
  socket.write(method(0, 'connection.tune-ok', { channelMax: 2047, frameMax: 131072, heartbeat: 0 }));
  const virtualHost = decodeURIComponent(pathname.slice(1)) || '/';
  await client.exchange(method(0, 'connection.open', { virtualHost }));
  await client.call('channel.open');
  return client;
}

/** The frames of one publish to a queue by the default exchange. */
export function publishFrames(queue: string, body: Buffer): Buffer {
  const publish = method(CHANNEL, 'basic.publish', { routingKey: queue });
  return Buffer.concat([publish, content(CHANNEL, body, { deliveryMode: TRANSIENT })]);
}

/** A basic.ack for each of the first tags, one after the other. */
export function ackFrames(count: number): Buffer {
  const one = method(CHANNEL, 'basic.ack');
  const all = Buffer.alloc(count * ACK_FRAME_BYTES, one);
  for (let tag = 1; tag <= count; tag += 1) {
    all.writeUInt32BE(tag, (tag - 1) * ACK_FRAME_BYTES + FRAME_HEADER_BYTES + METHOD_BYTES + 4);
  }
  return all;
}

function startReading(socket: Socket): RawClient & { exchange(bytes: Buffer): Promise<void> } {
  let rest = Buffer.alloc(0);
  let answered = (): void => undefined;
  // Between calls nobody waits who could be told: the run is over.
  const giveUp = (error: Error): void => {
    throw error;
  };
  let failed = giveUp;

  const exchange = async (bytes: Buffer) => {
    const answer = new Promise<void>((resolve, reject) => {
      answered = resolve;
      failed = reject;
    });
    socket.write(bytes);
    await answer;
    failed = giveUp;
  };

  const handleMethod = (bytes: Buffer, at: number) => {
    const number = bytes.readUInt32BE(at);
    const args = at + METHOD_BYTES;
    if (number === ACK) {
      client.events.onConfirm?.(bytes.readUInt32BE(args + 4));
    } else if (number === DELIVER) {
      // The tag stands behind the consumer's tag.
      client.events.onDelivery?.(bytes.readUInt32BE(args + 1 + (bytes[args] as number) + 4));
    } else if (CLOSES.has(number)) {
      failed(
        new Error(`the broker refused: ${bytes.toString('latin1', args + 3, args + 3 + (bytes[args + 2] as number))}`),
      );
    } else {
      answered();
    }
  };

  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + FRAME_HEADER_BYTES <= bytes.length) {
      const end = at + bytes.readUInt32BE(at + 3) + FRAME_OVERHEAD;
      if (end > bytes.length) break;
      if (bytes[at] === FRAME_METHOD) handleMethod(bytes, at + FRAME_HEADER_BYTES);
      at = end;
    }
    rest = bytes.subarray(at);
    client.events.onReadEnd?.();
  });
  socket.on('error', (error) => failed(error));
  socket.on('end', () => failed(new Error('the broker hung up')));

  const client = {
    events: {} as RawEvents,
    exchange,
    write: (bytes: Buffer) => void socket.write(bytes),
    call: <N extends MethodName>(name: N, args: Partial<Arguments<N>> = {}) => exchange(method(CHANNEL, name, args)),
    async close() {
      socket.removeAllListeners('end');
      const closed = once(socket, 'close');
      await exchange(method(0, 'connection.close', { replyCode: 200 }));
      socket.destroy();
      await closed;
    },
  };
  return client;
}
