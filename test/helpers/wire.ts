import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A TCP wire between the gateway and a broker, on which a test cuts, holds, slows down or loses what passes. Undisturbed
 * it hands on everything, ends and resets included.
 */

/** `hold` keeps what comes until it may pass; `lose` takes it, ends and resets included, and tells nobody. */
export type Flow = 'pass' | 'hold' | 'lose';

export interface Disturbance {
  /** What the gateway says to the broker. */
  requests?: Flow;
  /** What the broker says to the gateway. */
  answers?: Flow;
  /** Each way. */
  latencyMs?: number;
  /** Each way, of each connection. */
  bytesPerSecond?: number;
}

export interface Wire {
  /** The broker's, through this wire. */
  url: string;
  /** How many were opened so far. */
  connections: number;
  /** Disturbs the open connections, and with `future` those that come. */
  disturb(disturbance: Disturbance, options?: { future?: boolean }): void;
  /** Ends every disturbance; what was held passes on. */
  calm(): void;
  /** Ends the open connections by RST, to both sides. */
  reset(): void;
  /** Whether new connections are refused. */
  refuse(refused: boolean): void;
  /** Resolves once the broker has been sent bytes of this text. */
  carried(text: string): Promise<void>;
  close(): Promise<void>;
}

const calm: Required<Disturbance> = {
  requests: 'pass',
  answers: 'pass',
  latencyMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
};

/** What a slow way holds before its sender has to wait. */
const bufferBytes = 256 * 1024;
const sliceMs = 50;

interface Pair {
  ends: [client: Socket, broker: Socket];
  state: Required<Disturbance>;
  changed: EventEmitter;
}

/** @param targetUrl the broker's; that of any TCP server will do */
export async function startWire(targetUrl: string): Promise<Wire> {
  const target = new URL(targetUrl);
  const pairs = new Set<Pair>();
  const news = new EventEmitter().setMaxListeners(0);
  let future = calm;
  let refused = false;

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (refused) return void client.resetAndDestroy();
    wire.connections += 1;
    const broker = net.connect({
      port: Number(target.port),
      host: target.hostname,
      allowHalfOpen: true,
      noDelay: true,
    });
    const pair: Pair = { ends: [client, broker], state: { ...future }, changed: new EventEmitter().setMaxListeners(0) };
    pairs.add(pair);
    for (const socket of pair.ends) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (client.destroyed && broker.destroyed) pairs.delete(pair);
      });
    }
    carry(client, broker, 'requests', pair, (chunk) => news.emit('carried', chunk));
    carry(broker, client, 'answers', pair);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const change = (pair: Pair, state: Required<Disturbance>) => {
    pair.state = state;
    pair.changed.emit('change');
  };
  const url = new URL(targetUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const wire: Wire = {
    url: url.href,
    connections: 0,
    disturb(disturbance, options = {}) {
      if (options.future) future = { ...future, ...disturbance };
      for (const pair of pairs) change(pair, { ...pair.state, ...disturbance });
    },
    calm() {
      future = calm;
      for (const pair of pairs) change(pair, calm);
    },
    reset() {
      for (const { ends } of pairs) for (const socket of ends) socket.resetAndDestroy();
    },
    refuse(on) {
      refused = on;
    },
    async carried(text) {
      let tail = '';
      for (;;) {
        const [chunk] = (await once(news, 'carried')) as [Buffer];
        tail = tail.slice(-text.length) + chunk.toString('latin1');
        if (tail.includes(text)) return;
      }
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const { ends } of pairs) for (const socket of ends) socket.destroy();
      await closed;
    },
  };
  return wire;
}

/** One way of one connection. */
function carry(
  from: Socket,
  to: Socket,
  way: 'requests' | 'answers',
  pair: Pair,
  onCarried: (chunk: Buffer) => void = () => undefined,
): void {
  const waiting: { chunk: Buffer | 'end'; dueAt: number }[] = [];
  let waitingBytes = 0;
  const arrived = new EventEmitter();
  const take = (chunk: Buffer | 'end') => {
    if (pair.state[way] === 'lose') return;
    waiting.push({ chunk, dueAt: Date.now() + pair.state.latencyMs });
    waitingBytes += chunk.length;
    if (waitingBytes > bufferBytes) from.pause();
    arrived.emit('chunk');
  };
  from.on('data', take).on('end', () => take('end'));
  // A reset is told at once, unless nothing is told.
  from.on('close', (hadError) => {
    if (hadError && pair.state[way] !== 'lose') to.resetAndDestroy();
    arrived.emit('chunk');
  });

  const pump = async () => {
    while (!to.destroyed) {
      const next = waiting[0];
      if (next === undefined) {
        if (from.destroyed) return;
        await once(arrived, 'chunk');
      } else if (pair.state[way] === 'hold') {
        await Promise.race([once(pair.changed, 'change'), once(to, 'close')]);
      } else if (next.dueAt > Date.now()) {
        await sleep(next.dueAt - Date.now());
      } else {
        waiting.shift();
        if (pair.state[way] !== 'lose') await write(next.chunk);
        waitingBytes -= next.chunk.length;
        if (waitingBytes <= bufferBytes) from.resume();
      }
    }
  };
  const write = async (chunk: Buffer | 'end') => {
    if (chunk === 'end') return void to.end();
    for (let at = 0; at < chunk.length && !to.destroyed; ) {
      const { bytesPerSecond } = pair.state;
      const bytes = Number.isFinite(bytesPerSecond) ? Math.ceil((bytesPerSecond * sliceMs) / 1000) : chunk.length;
      const slice = chunk.subarray(at, at + bytes);
      at += slice.length;
      onCarried(slice);
      if (!to.write(slice)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
      if (Number.isFinite(bytesPerSecond)) await sleep(sliceMs);
    }
  };
  void pump().catch(() => undefined);
}
