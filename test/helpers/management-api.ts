import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeServer } from './http-server';

/** @connections as a local HTTP server: the real SDK talks to it, and a test says what it answers. */
export interface ManagementApi {
  url: string;
  /** Frames that were taken, by connection, in the order of their arrival. */
  taken: Map<string, unknown[]>;
  /** The connections of all posts, in their order, refused ones included. */
  posts: string[];
  /** The connections that were closed, in their order, those of refused calls included. */
  closed: string[];
  /** The most posts under way at once, by connection and over all. */
  mostAtOnce(connectionId?: string): number;
  /** Resolves once no more sockets than this are open. */
  socketsAtMost(count: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * What to answer a post: a status with the body that the service gives it, where 200 takes the frame; never (`hang`);
 * a socket closed before anything was said (`reset`); or a particular answer.
 */
export type Outcome = number | 'hang' | 'reset' | ParticularAnswer;

export interface ParticularAnswer {
  status: number;
  /** Instead of the service's own. */
  body?: string;
  /** Before the head of the answer, and after the frame was taken, milliseconds. */
  delayMs?: number;
  /** After the head and before the end of the body. */
  midway?: 'hang' | 'reset';
}

/** The answer to the n-th post (from 0) to a connection. */
export type Answer = (connectionId: string, attempt: number) => Outcome;

/** @param answerToClose the answer to each call that closes a connection. */
export async function startManagementApi(
  answer: Answer = () => 200,
  latencyMs = 0,
  answerToClose: () => Outcome = () => 204,
): Promise<ManagementApi> {
  const taken = new Map<string, unknown[]>();
  const posts: string[] = [];
  const closed: string[] = [];
  const attempts = new Map<string, number>();
  const underWay = new Map<string, number>();
  const most = new Map<string, number>();
  const count = (key: string, by: number) => {
    underWay.set(key, (underWay.get(key) ?? 0) + by);
    most.set(key, Math.max(most.get(key) ?? 0, underWay.get(key) ?? 0));
  };
  const sockets = new EventEmitter();
  let open = 0;

  const server = createServer(async (request, response) => {
    const connectionId = decodeURIComponent(request.url?.split('/').at(-1) ?? '');
    if (request.method === 'DELETE') {
      closed.push(connectionId);
      const outcome = answerToClose();
      if (typeof outcome === 'number') respond(response, { status: outcome });
      return;
    }
    const attempt = attempts.get(connectionId) ?? 0;
    attempts.set(connectionId, attempt + 1);
    posts.push(connectionId);
    count(connectionId, 1);
    count('all', 1);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (latencyMs > 0) await sleep(latencyMs);
    count(connectionId, -1);
    count('all', -1);
    const outcome = answer(connectionId, attempt);
    if (outcome === 'hang') return;
    if (outcome === 'reset') return void request.socket.destroy();
    const particular = typeof outcome === 'number' ? { status: outcome } : outcome;
    if (particular.status === 200) {
      const frames = taken.get(connectionId) ?? [];
      taken.set(connectionId, frames);
      frames.push(JSON.parse(String(Buffer.concat(chunks))));
    }
    if (particular.delayMs !== undefined) await sleep(particular.delayMs);
    respond(response, particular);
  });
  server.on('connection', (socket) => {
    open += 1;
    socket.on('close', () => {
      open -= 1;
      sockets.emit('close');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    posts,
    closed,
    mostAtOnce: (connectionId = 'all') => most.get(connectionId) ?? 0,
    async socketsAtMost(count) {
      while (open > count) await once(sockets, 'close');
    },
    close: () => closeServer(server),
  };
}

/** The service's errors: the name in a header, the text in the body. A 410 has no body at all. */
const errors: Record<number, { name: string; message?: string }> = {
  400: { name: 'BadRequestException', message: 'Invalid connectionId' },
  403: { name: 'ForbiddenException', message: 'Forbidden' },
  410: { name: 'GoneException' },
  413: { name: 'PayloadTooLargeException', message: 'Message too long' },
  429: { name: 'LimitExceededException', message: 'Too Many Requests' },
  500: { name: 'InternalServerException', message: 'Internal server error' },
  503: { name: 'ServiceUnavailableException', message: 'Service Unavailable' },
  504: { name: 'GatewayTimeoutException', message: 'Endpoint request timed out' },
};

function respond(response: ServerResponse, { status, body, midway }: ParticularAnswer): void {
  const { name, message } = errors[status] ?? {};
  const text = body ?? (message === undefined ? '' : JSON.stringify({ message, requestId: randomUUID() }));
  response.writeHead(status, {
    'x-amzn-RequestId': randomUUID(),
    ...(name === undefined ? {} : { 'x-amzn-ErrorType': name }),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text) + (midway === undefined ? 0 : 1),
  });
  if (midway === undefined) return void response.end(text);
  response.flushHeaders();
  if (text !== '') response.write(text);
  // The head must have left before the socket is closed.
  if (midway === 'reset') setImmediate(() => response.socket?.destroy());
}
