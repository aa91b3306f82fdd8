import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import WebSocket from 'ws';
import { deadLetterQueue } from '../../infra/topology';
import type { Verdict } from '../../lib/judge';
import { listenedPorts, listenerPid } from '../bench/process-memory';
import { deleteQueues, openChannel, queueNames, startRpcWorker } from '../helpers/amqp';
import { type Stack, startStack } from '../helpers/stack';
import { Books } from './books';
import type { Ground } from './faults';

/**
 * A crowd of real WebSocket clients on the local stack, started as a user starts it, with a service of its own behind it
 * that answers each message once; and the books on what became of every message. Where a client is gone, the stack's log
 * says how many replies found that.
 */
export interface Crowd extends Ground {
  stack: Stack;
  /** Resolves once the client is connected; a 503 of `$connect` bids it try again. */
  join(name: string): Promise<Member>;
  /** Begins to connect, and resets the connection so long after the request, milliseconds. */
  pass(afterMs: number): Promise<void>;
  /** Who left no later than `$connect` answered: nothing tells the stack of their end, and the table keeps their rows. */
  readonly unnoticed: number;
  /** What the consumer logged that became of the replies. */
  verdicts(): Partial<Record<Verdict, number>>;
  /** Connections that the table holds; undefined where it cannot be found, which is where there is no /proc. */
  rows(): Promise<number | undefined>;
}

export interface Member {
  socket: WebSocket;
  /** The ids of what was acknowledged, and of the replies that came. */
  acked: Set<string>;
  replied: Set<string>;
  send(messages?: number, replyLength?: number): void;
  /** What has not arrived yet never will. */
  leave(how: Farewell): void;
  /** Resolves when all was answered and replied to, when the connection has ended, or when all patience is over. */
  served(): Promise<void>;
}

/** The closing handshake; the end of the TCP connection, also in the midst of a frame; its reset. */
export type Farewell = 'close' | 'end' | 'end in mid-frame' | 'reset';

/** How long clients wait for their replies, counted from the start of the stack; then stragglers have some time more. */
const patienceMs = 80_000;
const stragglersMs = 30_000;

/** @param env of the stack: with AMQP_URL on that broker, else on an embedded one. */
export async function startCrowd(env: Record<string, string>): Promise<Crowd> {
  const queues = queueNames();
  const stack = await startStack({ EXAMPLE_WORKER: 'false', LOG_LEVEL: 'INFO', ...env, ...queues.env });
  const port = Number(new URL(stack.webSocketUrl).port);
  const books = new Books();
  const members: Member[] = [];
  const news = new EventEmitter().setMaxListeners(0);
  const tell = () => void news.emit('news');
  const change = () => Promise.race([once(news, 'news'), sleep(250)]);

  let answered = 0;
  const service = await startRpcWorker(stack.amqpUrl, queues.apiQueue, ({ data }) => {
    const { name, replyLength, metadata } = data as {
      name: string;
      replyLength: number;
      metadata: { message_id: string };
    };
    answered += 1;
    books.service(metadata.message_id, name);
    const options = { messageId: metadata.message_id, persistent: true };
    return { body: { name, text: 'x'.repeat(replyLength) }, options };
  });
  const letters = await openChannel(stack.amqpUrl);
  const deadLetters = deadLetterQueue(queues.wsQueue);
  await letters.channel.consume(deadLetters, (letter) => {
    if (letter === null) return;
    letters.channel.ack(letter);
    books.letter(letter.properties.messageId, letter.properties.headers?.['x-verdict']);
  });

  const verdicts = () => {
    const sums: Partial<Record<Verdict, number>> = {};
    for (const line of stack.output().split('\n')) {
      if (!line.startsWith('{') || !line.includes('Handled a batch of replies')) continue;
      const counts: Partial<Record<Verdict, number>> = JSON.parse(line).verdicts;
      for (const [verdict, count] of Object.entries(counts) as [Verdict, number][]) {
        sums[verdict] = (sums[verdict] ?? 0) + count;
      }
    }
    return sums;
  };

  let unnoticed = 0;
  const open = async (): Promise<WebSocket> => {
    for (;;) {
      const socket = new WebSocket(stack.webSocketUrl);
      try {
        await once(socket, 'open');
        return socket;
      } catch (error) {
        if (!(error as Error).message.endsWith(' 503')) throw error;
        unnoticed += 1;
      }
    }
  };

  return {
    books,
    stack,
    verdicts,
    get unnoticed() {
      return unnoticed;
    },
    async join(name) {
      const socket = await open();
      let unanswered = 0;
      const member: Member = {
        socket,
        acked: new Set(),
        replied: new Set(),
        send(messages = 1, replyLength = 0) {
          books.messages += messages;
          for (let n = 0; n < messages; n += 1) {
            unanswered += 1;
            socket.send(JSON.stringify({ action: 'send', data: { name, replyLength } }));
          }
        },
        leave(how) {
          books.goneConnection(name);
          const wire = (socket as unknown as { _socket: Socket })._socket;
          if (how === 'close') socket.close();
          if (how === 'end in mid-frame') wire.write(halfAFrame);
          if (how === 'end' || how === 'end in mid-frame') wire.end();
          if (how === 'reset') wire.resetAndDestroy();
        },
        async served() {
          const patienceEndsAt = Date.now() + patienceMs;
          const waits = () =>
            socket.readyState === WebSocket.OPEN && (unanswered > 0 || member.replied.size < member.acked.size);
          while (waits() && Date.now() < patienceEndsAt) await change();
        },
      };
      socket.on('error', () => undefined);
      socket.on('message', (bytes) => {
        const frame = JSON.parse(String(bytes));
        if (frame.event === 'recv') {
          if (frame.data.name !== name) throw new Error(`${name} was given a reply to ${frame.data.name}`);
          member.replied.add(frame.messageId);
          books.arrive(frame.messageId);
        } else {
          unanswered -= 1;
          if (frame.event !== 'ack') return books.refuse(frame.code ?? 'none');
          member.acked.add(frame.messageId);
          books.ack(frame.messageId, name);
        }
        tell();
      });
      members.push(member);
      return member;
    },
    async pass(afterMs) {
      unnoticed += 1;
      const socket = connect(port, 'localhost');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(upgrade);
      await sleep(afterMs);
      socket.resetAndDestroy();
    },
    async rows() {
      const pid = listenerPid(port) ?? 0;
      const tablePort = listenedPorts(pid).find((listened) => !stack.ports.includes(listened));
      if (tablePort === undefined) return undefined;
      const client = new DynamoDBClient({
        endpoint: `http://127.0.0.1:${tablePort}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      });
      const { Count } = await client.send(new ScanCommand({ TableName: 'ConnectionTable', Select: 'COUNT' }));
      client.destroy();
      return Count;
    },
    async account() {
      const deadline = Date.now() + stragglersMs;
      for (;;) {
        const judged = Object.values(verdicts()).reduce((sum, count) => sum + count, 0);
        if ((books.lost().length === 0 && judged === answered) || Date.now() > deadline) return books.counts();
        await change();
      }
    },
    async stop() {
      for (const { socket } of members) socket.terminate();
      await Promise.all([service.close(), letters.close()]);
      if (env.AMQP_URL) await deleteQueues(env.AMQP_URL, queues.apiQueue, queues.wsQueue, deadLetters);
      await stack.stop();
    },
  };
}

const upgrade = [
  'GET / HTTP/1.1',
  'host: localhost',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

/** A text of 1,000 bytes is announced, under a mask of zeros, and its first bytes follow. */
const halfAFrame = Buffer.concat([Buffer.from([0x81, 0xfe, 0x03, 0xe8, 0, 0, 0, 0]), Buffer.from('{"action":"send"')]);
