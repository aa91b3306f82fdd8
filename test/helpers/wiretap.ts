import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

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
  /** Acknowledgements of the broker: confirms. */
  confirms: number;
  /** Reply codes with which the broker closed a channel or the connection. */
  refusals: number[];
  /** `goodbye`: the client said it, the broker answered, and the socket was closed. */
  end: 'none' | 'asked' | 'answered' | 'goodbye';
}

const METHOD = 1;
const HEARTBEAT = 8;
const HEADER_BYTES = 7;
const GREETING_BYTES = 8;

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
      frames(GREETING_BYTES, (type, payload) => overhearClient(said, type, payload)),
    );
    upstream.on(
      'data',
      frames(0, (type, payload) => overhearBroker(said, type, payload)),
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

/** Takes bytes as they come and hands out frames, type and payload, after `skipped` bytes that are none. */
function frames(skipped: number, take: (type: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  let toSkip = skipped;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    if (rest.length < toSkip) return;
    rest = rest.subarray(toSkip);
    toSkip = 0;
    while (rest.length > HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUInt32BE(3);
      if (rest.length <= end) return;
      take(rest.readUInt8(0), rest.subarray(HEADER_BYTES, end));
      rest = rest.subarray(end + 1);
    }
  };
}

function overhearClient(said: Overheard, type: number, payload: Buffer): void {
  if (type === HEARTBEAT) said.heartbeats.ofClient += 1;
  else if (method(type, payload) === 'connection.tune-ok') said.heartbeatSeconds = payload.readUInt16BE(10);
  else if (method(type, payload) === 'connection.close') said.end = 'asked';
}

function overhearBroker(said: Overheard, type: number, payload: Buffer): void {
  if (type === HEARTBEAT) said.heartbeats.ofBroker += 1;
  const name = method(type, payload);
  if (name === 'basic.ack') said.confirms += 1;
  else if (name === 'channel.close' || name === 'connection.close') said.refusals.push(payload.readUInt16BE(4));
  else if (name === 'connection.close-ok' && said.end === 'asked') said.end = 'answered';
}

const METHODS: Record<string, string> = {
  '10.31': 'connection.tune-ok',
  '10.50': 'connection.close',
  '10.51': 'connection.close-ok',
  '20.40': 'channel.close',
  '60.80': 'basic.ack',
};

function method(type: number, payload: Buffer): string | undefined {
  return type === METHOD ? METHODS[`${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`] : undefined;
}
