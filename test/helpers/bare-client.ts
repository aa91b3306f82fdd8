import { once } from 'node:events';
import { connect } from 'node:net';
import { decodeMethod } from '../../infra/local/broker/codec';
import { FrameReader } from '../../infra/local/broker/framing';
import type { Method, MethodName } from '../../infra/local/broker/methods';
import { type Login, login, method } from './amqp-frames';

/** A client of bare frames, for what amqplib would never send and what it does not show. */

interface BareFrame {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

export async function bareClient(port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const reader = new FrameReader(131_072);
  const chunks: Buffer[] = [];
  const frames: BareFrame[] = [];
  let open = true;
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    // An answer that is no frame is looked at as bytes.
    if (chunks[0]?.toString('latin1', 0, 4) === 'AMQP') return;
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      frames.push({ type: next.type, channel: next.channel, payload: Buffer.from(next.payload) });
    }
  });
  const ended = new Promise<'fin' | 'reset'>((resolve) => {
    const ends = (how: 'fin' | 'reset') => {
      open = false;
      resolve(how);
    };
    socket.once('end', () => {
      socket.end();
      ends('fin');
    });
    socket.on('error', () => ends('reset'));
  });
  await once(socket, 'connect');
  const send = (...bytes: Buffer[]) => void socket.write(Buffer.concat(bytes));
  const methods = (): Method[] => frames.filter(({ type }) => type === 1).map(({ payload }) => decodeMethod(payload));
  const received = (name: MethodName) => until(() => methods().some((each) => each.name === name));
  return {
    frames,
    /** How the broker ended it: `reset` as RabbitMQ does nearly always. */
    ended,
    send,
    methods,
    received,
    bytes: () => Buffer.concat(chunks),
    open: () => open,
    hangUp: () => socket.end(),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    login: (options: Login = {}) => send(...login(options)),
    async closeReason() {
      await received('connection.close');
      const close = methods().find(({ name }) => name === 'connection.close');
      socket.end(method(0, 'connection.close-ok', {}));
      return close?.args;
    },
  };
}

export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 8_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('did not happen within eight seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
