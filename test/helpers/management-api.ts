import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** @connections as a local HTTP server: the real SDK talks to it, and a test says what it answers. */
export interface ManagementApi {
  url: string;
  /** Frames that were taken, by connection, in the order of their arrival. */
  taken: Map<string, unknown[]>;
  /** The connections of all posts, in their order, refused ones included. */
  posts: string[];
  /** The most posts under way at once, by connection and over all. */
  mostAtOnce(connectionId?: string): number;
  close(): Promise<void>;
}

/** What to answer the n-th post (from 0) to a connection: a status, `hang` or `reset`; 200 takes the frame. */
export type Answer = (connectionId: string, attempt: number) => number | 'hang' | 'reset';

export async function startManagementApi(answer: Answer = () => 200, latencyMs = 0): Promise<ManagementApi> {
  const taken = new Map<string, unknown[]>();
  const posts: string[] = [];
  const underWay = new Map<string, number>();
  const most = new Map<string, number>();
  const count = (key: string, by: number) => {
    underWay.set(key, (underWay.get(key) ?? 0) + by);
    most.set(key, Math.max(most.get(key) ?? 0, underWay.get(key) ?? 0));
  };

  const server = createServer(async (request, response) => {
    const connectionId = decodeURIComponent(request.url?.split('/').at(-1) ?? '');
    const attempt = posts.filter((id) => id === connectionId).length;
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
    if (outcome === 200) {
      const frames = taken.get(connectionId) ?? [];
      taken.set(connectionId, [...frames, JSON.parse(String(Buffer.concat(chunks)))]);
    }
    respond(response, outcome);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    posts,
    mostAtOnce: (connectionId = 'all') => most.get(connectionId) ?? 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The service's error names, in the header where it puts them; the body of a 410 may be empty. */
const names: Record<number, string> = {
  400: 'BadRequestException',
  403: 'ForbiddenException',
  410: 'GoneException',
  413: 'PayloadTooLargeException',
  429: 'LimitExceededException',
};

function respond(response: ServerResponse, status: number): void {
  const name = names[status];
  response.writeHead(
    status,
    name === undefined ? {} : { 'x-amzn-ErrorType': name, 'content-type': 'application/json' },
  );
  response.end(status === 200 || status === 410 ? '' : JSON.stringify({ message: name ?? 'failed' }));
}
