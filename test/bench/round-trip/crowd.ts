import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { type Client, type Connect, openClient, takeTurns } from './client';

/**
 * The clients of a benchmark as a process. Asked to `open`, it connects so many to a gateway, which stay connected;
 * asked for a `turn`, it lets them send for a time and tells what came of it.
 */

export type Question = { open: Crowd } | { turn: string; ms: number };

export interface Crowd {
  name: string;
  url: string;
  speaks: 'gateway' | 'socket.io';
  clients: number;
}

/** Long enough for a loaded machine: who waits is done as soon as the last answer is there. */
const patienceMs = 120_000;
const prompt = 'x'.repeat(1024);

const crowds = new Map<string, Client[]>();

async function open({ name, url, speaks, clients: count }: Crowd): Promise<'open'> {
  const connect = speaks === 'gateway' ? gatewayAt(url) : socketIoAt(url);
  const clients: Client[] = [];
  for (let number = 0; number < count; number += 1) clients.push(await openClient(`${name}.${number}`, connect));
  crowds.set(name, clients);
  return 'open';
}

function gatewayAt(url: string): Connect {
  return async (heard) => {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.on('message', (text) => {
      const { event, id } = JSON.parse(String(text));
      if (event === 'ack') heard('acked', id);
      else if (event === 'recv') heard('replied', id);
      else heard('refused', id ?? undefined);
    });
    return (id) => socket.send(JSON.stringify({ action: 'send', id, data: { prompt } }));
  };
}

function socketIoAt(url: string): Connect {
  return async (heard) => {
    const socket = io(url, { transports: ['websocket'], forceNew: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
    socket.on('recv', ({ id }: { id: string }) => heard('replied', id));
    return (id) => socket.emit('send', { id, prompt }, () => heard('acked', id));
  };
}

process.on('message', async (question: Question) => {
  if ('open' in question) process.send?.(await open(question.open));
  else process.send?.(await takeTurns(crowds.get(question.turn) ?? [], question.ms, patienceMs));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
