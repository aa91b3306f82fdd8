import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { closeServer } from '../helpers/http-server';

/**
 * API Gateway before functions that are processes of their own: real WebSockets on one side, @connections on the other. A
 * `$disconnect` is told, however the connection ended; what a function throws reaches the client as API Gateway's own frame.
 */
export interface Front {
  webSocketUrl: string;
  /** Of @connections. */
  managementUrl: string;
  /** Each frame that is posted, before it is taken; of several in one, each. */
  onPost(listener: OnPost): void;
  close(): Promise<void>;
}

export type OnPost = (frame: { event: string; seq?: number; resumed?: boolean }, connectionId: string) => void;

/** The function of a route: `$connect`, `$disconnect`, `$default`, or an action. */
export type Routes = Record<string, { invoke(event: unknown): Promise<unknown> }>;

export async function startFront(routes: Routes): Promise<Front> {
  const sockets = new Map<string, WebSocket>();
  const listeners: OnPost[] = [];
  const underWay = new Set<Promise<unknown>>();
  const invoke = (route: string, context: object, body?: string) => {
    const invocation = (routes[route] ?? routes.$default)?.invoke({ requestContext: context, body });
    const settled = (invocation ?? Promise.reject(new Error(`There is no route ${route}.`))) as Promise<Response>;
    const watched = settled.catch(() => undefined).finally(() => underWay.delete(watched));
    underWay.add(watched);
    return settled;
  };

  const answerPost = async (request: IncomingMessage, response: ServerResponse) => {
    const connectionId = decodeURIComponent(request.url?.split('/').at(-1) ?? '');
    const socket = sockets.get(connectionId);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (socket?.readyState !== socket?.OPEN || socket === undefined) return response.writeHead(410).end();
    if (request.method === 'DELETE') {
      socket.close(1000);
      return response.writeHead(204).end();
    }
    const text = String(Buffer.concat(chunks));
    const frames = [JSON.parse(text)].flat();
    for (const frame of frames) for (const listener of listeners) listener(frame, connectionId);
    return socket.send(text, (error) => response.writeHead(error ? 410 : 200).end());
  };

  const server = createServer((request, response) => {
    answerPost(request, response).catch(() => response.destroy());
  });
  const acceptor = new WebSocketServer({ noServer: true });
  server.on('upgrade', async (request, tcp, head) => {
    tcp.on('error', () => undefined);
    const connectionId = randomBytes(11).toString('base64');
    const context = { connectionId, connectedAt: Date.now() };
    const admission = await invoke('$connect', { ...context, eventType: 'CONNECT' }).catch(() => ({ statusCode: 500 }));
    if (admission.statusCode !== 200) return void tcp.end(`HTTP/1.1 ${admission.statusCode} Refused\r\n\r\n`);
    const ended = () => void invoke('$disconnect', { ...context, eventType: 'DISCONNECT' }).catch(() => undefined);
    if (tcp.destroyed) return ended();
    acceptor.handleUpgrade(request, tcp, head, (socket) => {
      sockets.set(connectionId, socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(connectionId);
        ended();
      });
      socket.on('message', async (data) => {
        const text = String(data);
        const answer = await invoke(actionIn(text), { ...context, eventType: 'MESSAGE' }, text).catch(
          (): Response => ({ body: JSON.stringify({ ...internal, connectionId, requestId: randomUUID() }) }),
        );
        if (answer?.body !== undefined) socket.send(answer.body, () => undefined);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    webSocketUrl: `ws://127.0.0.1:${port}`,
    managementUrl: `http://127.0.0.1:${port}`,
    onPost: (listener) => void listeners.push(listener),
    async close() {
      const closed = [...sockets.values()].map((socket) => {
        socket.terminate();
        return once(socket, 'close');
      });
      await Promise.all(closed);
      await Promise.all(underWay);
      await closeServer(server);
    },
  };
}

interface Response {
  statusCode?: number;
  body?: string;
}

const internal = { message: 'Internal server error' };

function actionIn(text: string): string {
  try {
    const { action } = JSON.parse(text);
    return typeof action === 'string' && !action.startsWith('$') ? action : '$default';
  } catch {
    return '$default';
  }
}
