import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionState } from '../../lib/session/state';
import { closeServer } from '../helpers/http-server';

/**
 * DynamoDB and @connections as one HTTP server that keeps nothing, so that a row measures who asks. A connection has a
 * row in the table, and no session; a session has no replies yet, and a connection whose client reads several of them in
 * one frame. What is posted are replies as repliesEvent() numbers them.
 */
export interface FakeAws {
  url: string;
  /**
   * So far, by what was asked for: `PutItem`, `GetItem`, ..., and `post`. One that was given up and is made again
   * counts once.
   */
  requests: ReadonlyMap<string, number>;
  /** Before either answers, milliseconds; 0 at first. */
  latencyMs: number;
  order: Order;
  close(): Promise<void>;
}

/** What became of the order of replies since `watch()`. */
interface Order {
  watch(): void;
  /** Distinct replies that came. */
  readonly replies: number;
  /** Replies that came after a later one to their connection. */
  readonly late: number;
  /** Posts begun while another to their connection was not answered: nothing keeps these in order. */
  readonly beside: number;
}

export async function startFakeAws(): Promise<FakeAws> {
  const requests = new Map<string, number>();
  const signedAt = new Map<string, string>();
  const order = watchOrder();
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const asked = String(request.headers['x-amz-target'] ?? 'post').replace(/.*\./, '');
    // A client that gives an attempt up has waited for more than a second, to which signatures tell their time.
    const date = String(request.headers['x-amz-date']);
    const content = `${asked} ${request.url} ${body}`;
    const isNew = !signedAt.has(content);
    const isRepeat = !isNew && signedAt.get(content) !== date;
    if (isNew) signedAt.set(content, date);
    if (!isRepeat) requests.set(asked, (requests.get(asked) ?? 0) + 1);
    const answer = asked === 'post' ? '' : answerOf(asked, body);
    const answered = asked === 'post' && !isRepeat ? order.came(request.url ?? '', body) : undefined;
    if (aws.latencyMs > 0) await sleep(aws.latencyMs);
    answered?.();
    response.writeHead(200, {
      'content-type': 'application/x-amz-json-1.0',
      'content-length': Buffer.byteLength(answer),
      'x-amzn-requestid': 'AB12CD34EF56GH78IJ90KL12MN34OP56QR78ST90UV12WX34YZ56',
    });
    response.end(answer);
  });
  // Longer than a turn of all rivals takes, as AWS keeps a socket.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const aws: FakeAws = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    latencyMs: 0,
    order,
    close: () => closeServer(server),
  };
  return aws;
}

function watchOrder(): Order & { came(connection: string, frame: string): () => void } {
  const latest = new Map<string, { number: number; underWay: number }>();
  const replies = new Set<number>();
  let late = 0;
  let beside = 0;
  return {
    watch() {
      latest.clear();
      replies.clear();
      late = 0;
      beside = 0;
    },
    get replies() {
      return replies.size;
    },
    get late() {
      return late;
    },
    get beside() {
      return beside;
    },
    came(connection, frame) {
      const before = latest.get(connection) ?? { number: -1, underWay: 0 };
      latest.set(connection, before);
      for (const [, digits] of frame.matchAll(/"number":(\d+)/g)) {
        const number = Number(digits);
        replies.add(number);
        if (number < before.number) late += 1;
        before.number = Math.max(number, before.number);
      }
      if (before.underWay > 0) beside += 1;
      before.underWay += 1;
      return () => {
        before.underWay -= 1;
      };
    },
  };
}

const row = JSON.stringify({
  connectionId: { S: 'L0SM9cOFvHcCIhw=' },
  openedAt: { N: '1767323045678' },
  expiresAt: { N: '1767330845' },
});

function answerOf(operation: string, body: string): string {
  if (operation === 'GetItem') return `{"Item":${sessionIn(body) ?? row}}`;
  return body.includes('"ALL_') ? `{"Attributes":${row}}` : '{}';
}

/** The record of the session that is asked for, if it is one. */
function sessionIn(body: string): string | undefined {
  const [session] = /session_[\w-]{22}/.exec(body) ?? [];
  if (session === undefined) return undefined;
  const state: SessionState = {
    session,
    tokenHash: 'x'.repeat(64),
    openedAt: Date.now(),
    expiresAt: 4_000_000_000,
    connectionId: session.slice(-16),
    batchesTo: session.slice(-16),
    connectedAt: Date.now(),
    unseated: [],
    lastSeq: 0,
    receivedSeq: 0,
    pages: [],
    identities: [],
    changes: [],
  };
  return JSON.stringify({ version: { N: '1' }, state: { S: JSON.stringify(state) } });
}
