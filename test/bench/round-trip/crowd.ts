import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import WebSocket from 'ws';

/**
 * Clients that send a message, await its reply, send the next. Asked to `open`, it connects so many clients to a gateway,
 * which stay connected; asked for a `turn`, it lets them talk for a time and tells what came of it.
 */

export type Question = { open: Crowd } | { turn: string; ms: number };

export interface Crowd {
  name: string;
  url: string;
  speaks: 'gateway' | 'socket.io';
  clients: number;
}

export interface TurnFigures {
  /** In the turn. */
  replies: number;
  acked: number;
  /** From the first send to the end of the turn. */
  ms: number;
  p50Ms: number;
  p99Ms: number;
  /** Acknowledged, and not answered within the patience after the turn. */
  lost: number;
  /** Answered with an error, or neither acknowledged nor answered within the patience. */
  refused: number;
}

/** What comes back of a message. */
interface Ears {
  acked(id: string): void;
  replied(id: string): void;
  refused(id: string): void;
}

interface Client {
  send(id: string, prompt: string): void;
}

/** Long enough for a loaded machine: who waits is done as soon as the last answer is there. */
const patienceMs = 20_000;
const padding = 'x'.repeat(1024);

const crowds = new Map<string, { clients: Client[]; ears: Ears[] }>();
let sent = 0;

async function open({ name, url, speaks, clients }: Crowd): Promise<'open'> {
  const deaf: Ears = { acked() {}, replied() {}, refused() {} };
  const crowd = { clients: [] as Client[], ears: Array<Ears>(clients).fill(deaf) };
  for (let index = 0; index < clients; index += 1) {
    const ears = () => crowd.ears[index] as Ears;
    crowd.clients.push(await (speaks === 'gateway' ? openGateway(url, ears) : openSocketIo(url, ears)));
  }
  crowds.set(name, crowd);
  return 'open';
}

async function openGateway(url: string, ears: () => Ears): Promise<Client> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  socket.on('message', (text) => {
    const { event, id } = JSON.parse(String(text));
    if (event === 'ack') ears().acked(id);
    else if (event === 'recv') ears().replied(id);
    else ears().refused(id);
  });
  return { send: (id, prompt) => socket.send(JSON.stringify({ action: 'send', id, data: { prompt } })) };
}

async function openSocketIo(url: string, ears: () => Ears): Promise<Client> {
  const socket = io(url, { transports: ['websocket'], forceNew: true });
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
  socket.on('recv', ({ id }: { id: string }) => ears().replied(id));
  return { send: (id, prompt) => socket.emit('send', { id, prompt }, () => ears().acked(id)) };
}

async function turn(name: string, ms: number): Promise<TurnFigures> {
  const crowd = crowds.get(name);
  if (crowd === undefined) throw new Error(`Nobody has opened ${name}.`);
  const latencies: number[] = [];
  const [acked, replied] = [new Set<string>(), new Set<string>()];
  let refused = 0;
  let waiting = crowd.clients.length;
  const startAt = performance.now();
  const endsAt = startAt + ms;
  const talks = crowd.clients.map(async (client, index) => {
    while (performance.now() < endsAt) {
      sent += 1;
      const id = String(sent);
      const sentAt = performance.now();
      const [isAcked, isAnswered] = [completion(), completion()];
      crowd.ears[index] = {
        acked(of) {
          acked.add(of);
          if (of === id) isAcked.done();
        },
        replied(of) {
          replied.add(of);
          if (of !== id) return;
          latencies.push(performance.now() - sentAt);
          isAnswered.done();
        },
        refused() {
          refused += 1;
          isAcked.done();
          isAnswered.done();
        },
      };
      client.send(id, padding);
      await isAnswered.promise;
      if (performance.now() >= endsAt) await isAcked.promise;
    }
    waiting -= 1;
  });
  await sleep(ms);
  const replies = latencies.length;
  const turnMs = performance.now() - startAt;
  await Promise.race([Promise.all(talks), sleep(patienceMs, undefined, { ref: false })]);
  const lost = [...acked].filter((id) => !replied.has(id)).length;
  const sorted = latencies.sort((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  const times = { ms: turnMs, p50Ms: percentile(0.5), p99Ms: percentile(0.99) };
  return { ...times, replies, acked: acked.size, lost, refused: refused + waiting };
}

function completion(): { promise: Promise<void>; done(): void } {
  let done = () => {};
  const promise = new Promise<void>((resolve) => {
    done = resolve;
  });
  return { promise, done };
}

process.on('message', async (question: Question) => {
  process.send?.('open' in question ? await open(question.open) : await turn(question.turn, question.ms));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
