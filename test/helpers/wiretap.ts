import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { decodeMethod } from '../../infra/local/broker/codec';
import {
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  type Frame,
  FrameReader,
} from '../../infra/local/broker/framing';
import { PROTOCOL_HEADER } from './amqp-frames';

/**
 * A wire to a broker that overhears what passes: for what no client tells of itself, whatever language it speaks.
 * It changes nothing.
 */
export interface Wiretap {
  /** The broker's, through this wire. */
  url: string;
  /** What was said, a connection each, in the order in which they were opened. */
  connections: Overheard[];
  /** Resolves once they are as asked; its caller sets the time. */
  until(are: (connections: Overheard[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface Overheard {
  /** As the client answered to the broker's proposal. */
  heartbeatSeconds: number | undefined;
  heartbeats: { ofClient: number; ofBroker: number };
  /** How many the client opened. */
  channels: number;
  /** Frames of messages that the client published: of the method, the header and the body. */
  publishFrames: number;
  /** Acknowledgements of the broker: confirms. */
  confirms: number;
  /** Reply codes with which the broker closed a channel or the connection. */
  refusals: number[];
  /** `goodbye`: the client said it, the broker answered, and the socket was closed. */
  end: 'none' | 'asked' | 'answered' | 'goodbye';
}

const GREETING_BYTES = PROTOCOL_HEADER.length;
const MAX_FRAME_BYTES = 1024 * 1024;

/** @param brokerUrl without a virtual host. */
export async function startWiretap(brokerUrl: string): Promise<Wiretap> {
  const broker = new URL(brokerUrl);
  const connections: Overheard[] = [];
  const sockets = new Set<Socket>();
  const news = new EventEmitter();

  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ port: Number(broker.port), host: broker.hostname, allowHalfOpen: true });
    const said: Overheard = {
      heartbeatSeconds: undefined,
      heartbeats: { ofClient: 0, ofBroker: 0 },
      channels: 0,
      publishFrames: 0,
      confirms: 0,
      refusals: [],
      end: 'none',
    };
    connections.push(said);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // The other side is told by the end of its own socket.
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    client.on(
      'data',
      frames(GREETING_BYTES, (frame) => overhearClient(said, frame)),
    );
    upstream.on(
      'data',
      frames(0, (frame) => overhearBroker(said, frame)),
    );
    client.on('close', () => {
      if (said.end === 'answered') said.end = 'goodbye';
      upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
    for (const socket of [client, upstream])
      for (const event of ['data', 'close']) socket.on(event, () => news.emit('news'));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const url = new URL(brokerUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    connections,
    async until(are) {
      while (!are(connections)) await once(news, 'news');
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Reads what passes frame by frame, after `greetingBytes` that are none. */
function frames(greetingBytes: number, take: (frame: Frame) => void): (chunk: Buffer) => void {
  const reader = new FrameReader(MAX_FRAME_BYTES);
  let greeted = greetingBytes === 0;
  return (chunk) => {
    reader.push(chunk);
    greeted ||= reader.takeRaw(greetingBytes) !== undefined;
    if (!greeted) return;
    for (let next = reader.next(); next !== undefined; next = reader.next()) take(next);
  };
}

function overhearClient(said: Overheard, { type, payload }: Frame): void {
  if (type === FRAME_HEARTBEAT) said.heartbeats.ofClient += 1;
  if (type === FRAME_HEADER || type === FRAME_BODY) said.publishFrames += 1;
  if (type !== FRAME_METHOD) return;
  const { name, args } = decodeMethod(payload);
  if (name === 'channel.open') said.channels += 1;
  if (name === 'basic.publish') said.publishFrames += 1;
  if (name === 'connection.tune-ok') said.heartbeatSeconds = args.heartbeat;
  else if (name === 'connection.close') said.end = 'asked';
}

function overhearBroker(said: Overheard, { type, payload }: Frame): void {
  if (type === FRAME_HEARTBEAT) said.heartbeats.ofBroker += 1;
  if (type !== FRAME_METHOD) return;
  const { name, args } = decodeMethod(payload);
  if (name === 'basic.ack') said.confirms += 1;
  else if (name === 'channel.close' || name === 'connection.close') said.refusals.push(args.replyCode);
  else if (name === 'connection.close-ok' && said.end === 'asked') said.end = 'answered';
}
