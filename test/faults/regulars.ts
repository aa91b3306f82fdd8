import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { type RunningMapping, startMapping } from '../../infra/local/event-source/mapping';
import { openGateway } from '../../lib/client/gateway';
import { type Gateway, GatewayError, type Options, type WebSocketConstructor } from '../../lib/client/index';
import { timing } from '../../lib/client/timing';
import { brokerAt } from '../../lib/credentials';
import { deliveriesOf } from '../../lib/mq-event';
import { AmqpPublisher } from '../../lib/publisher';
import { withoutBatches } from '../helpers/without-batches';
import type { Books } from './books';

/**
 * Clients that come again: in sessions, by the client library over real sockets, every other one as if it could not read
 * several replies in one frame; and a service that answers each of their messages several times. The books have a message as
 * arrived once the service has it, and a reply once the application has it.
 */
export interface Regulars {
  all: readonly Regular[];
  /**
   * Every client sends all its messages, or what it can in this time and until there are so many messages and replies;
   * resolves once the applications have all replies.
   */
  converse(forMs?: number, atLeast?: number): Promise<void>;
  /** Resolves once the applications have so many replies. */
  replied(count: number): Promise<void>;
  /** Resolves as the service gives so many replies, before the last of them can have been stored. */
  given(count: number): Promise<void>;
  /** Every application has all replies of its session, in the order in which the service gave them, in one session. */
  areWhole(): boolean;
  close(): Promise<void>;
}

export interface Regular {
  name: string;
  gateway: Gateway;
  /** Of all its connections, the latest last. */
  sockets: WebSocket[];
  /** How often it was told of its session. */
  resumed: number;
  opened: number;
  /** Ids of replies, as they came to the application. */
  replies: string[];
}

export interface Habits {
  clients: number;
  /** Of each client. */
  messages: number;
  /** To each message. */
  replies: number;
  /** Between two messages of a client, at most. */
  pauseMs: number;
  /** Of the n-th client, beyond those of all. */
  options?(n: number): Options;
}

export interface Place {
  webSocketUrl: string;
  /** For the service. */
  amqpUrl: string;
  apiQueue: string;
  wsQueue: string;
}

/** Time goes faster here: a connection that lasted so long was a good one, after which the client does not wait longer. */
const stableMs = 500;
/** How long nothing may come. */
const patienceMs = 60_000;

/** Resolves once all are in their sessions. */
export async function startRegulars(place: Place, habits: Habits, books: Books): Promise<Regulars> {
  const news = new EventEmitter().setMaxListeners(0);
  const until = async (holds: () => boolean) => {
    while (!holds()) await once(news, 'news', { signal: AbortSignal.timeout(patienceMs) });
  };
  const tell = () => void news.emit('news');
  /** By name, the ids of the replies that the service gave. */
  const given = new Map<string, string[]>();
  const service = startService(place, habits.replies, given, books, tell);
  const all = Array.from({ length: habits.clients }, (_, n) =>
    come(`client-${n}`, place.webSocketUrl, n % 2 === 0, habits.options?.(n) ?? {}, books, tell),
  );
  await until(() => all.every(({ opened }) => opened > 0));

  return {
    all,
    async converse(forMs = Number.POSITIVE_INFINITY, atLeast = 0) {
      const endsAt = Date.now() + forMs;
      const goesOn = () => Date.now() < endsAt || books.messages < atLeast;
      const converseOne = async (regular: Regular) => {
        let said = 0;
        for (; said < habits.messages && goesOn(); said += 1) {
          await sleep(Math.random() * habits.pauseMs);
          books.messages += 1 + habits.replies;
          await say(regular, `${said}`, habits.pauseMs, books);
        }
        await until(() => regular.replies.length >= said * habits.replies);
      };
      await Promise.all(all.map(converseOne));
    },
    replied: (count) => until(() => all.reduce((sum, { replies }) => sum + replies.length, 0) >= count),
    given: (count) => until(() => [...given.values()].reduce((sum, { length }) => sum + length, 0) >= count),
    areWhole: () =>
      all.every(({ name, opened, replies }) => opened === 1 && String(replies) === String(given.get(name))),
    async close() {
      for (const { gateway } of all) gateway.close();
      await service.close();
    },
  };
}

/** As a network that is gone: no closing handshake. @returns whether there was anything to cut. */
export function cut({ sockets }: Regular): boolean {
  const socket = sockets.at(-1);
  if (socket?.readyState !== WebSocket.OPEN) return false;
  (socket as unknown as { _socket: Socket })._socket.resetAndDestroy();
  return true;
}

function come(
  name: string,
  url: string,
  readsBatches: boolean,
  options: Options,
  books: Books,
  tell: () => void,
): Regular {
  const sockets: WebSocket[] = [];
  class Kept extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }

    override send(text: string): void {
      super.send(readsBatches ? text : withoutBatches(text));
    }
  }
  const socketOf = Kept as unknown as WebSocketConstructor;
  const gateway = openGateway(url, socketOf, { session: 'auto', ...options }, { ...timing, stableMs });
  const regular: Regular = { name, gateway, sockets, resumed: 0, opened: 0, replies: [] };
  gateway.on('session', ({ resumed }) => {
    regular[resumed ? 'resumed' : 'opened'] += 1;
    tell();
  });
  gateway.on('recv', ({ messageId = '' }) => {
    regular.replies.push(messageId);
    books.arrive(messageId);
    tell();
  });
  return regular;
}

/** What is refused for the moment is sent again, as the same message. */
async function say({ name, gateway }: Regular, id: string, pauseMs: number, books: Books): Promise<void> {
  for (;;) {
    try {
      const { messageId } = await gateway.send({ name }, { id, timeoutMs: patienceMs });
      return books.ack(messageId, name);
    } catch (error) {
      if (!(error instanceof GatewayError && error.retryable)) throw error;
      books.refuse(error.code);
      await sleep(Math.random() * pauseMs);
    }
  }
}

/** Remembers nothing: what comes to it again is answered again, by replies with the same ids. */
function startService(
  place: Place,
  replies: number,
  given: Map<string, string[]>,
  books: Books,
  tell: () => void,
): RunningMapping {
  const { amqpUrl, apiQueue, wsQueue } = place;
  const publisher = new AmqpPublisher(brokerAt(amqpUrl));
  const answer = async (name: string, messageId: string, metadata: unknown) => {
    const body = Buffer.from(JSON.stringify({ pattern: 'recv', data: { metadata } }));
    await publisher.publish({ queue: wsQueue, body, properties: { messageId, deliveryMode: 2 } }, Date.now() + 10_000);
    books.service(messageId, name);
  };
  const spec = { functionKey: 'service', queue: apiQueue, virtualHost: '/', batchSize: 10, windowMs: 0 };
  const mapping = startMapping(
    { ...spec, eventSourceArn: 'arn' },
    {
      url: amqpUrl,
      report: () => undefined,
      async invoke(_, event) {
        const answers = deliveriesOf(event).flatMap(({ body, properties: { messageId = '' } }) => {
          const { name, metadata } = JSON.parse(String(body)).data;
          books.arrive(messageId);
          const ids = Array.from({ length: replies }, (_, part) => `${messageId}/${part}`);
          given.set(name, [...new Set([...(given.get(name) ?? []), ...ids])]);
          return ids.map((id) => answer(name, id, metadata));
        });
        tell();
        await Promise.all(answers);
      },
    },
  );
  return {
    async close() {
      await mapping.close();
      await publisher.close();
    },
  };
}
