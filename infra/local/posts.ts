import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * serverless-offline answers @connections by a web framework, which costs more than the post itself. A post as the functions
 * send it is taken here; whatever else comes is still answered there.
 */

/** The parts of serverless-offline's classes, which it does not export, that are used here. */
interface Clients {
  addRoute(...route: unknown[]): void;
  /** False where there is no such connection. */
  send(connectionId: string, frame: string): boolean;
}

interface HttpServer {
  start(): Promise<void>;
  server: Server;
}

export async function answerPosts(): Promise<void> {
  const clientsClass = await classIn<Clients>('events/websocket/WebSocketClients.js');
  const httpServerClass = await classIn<HttpServer>('events/websocket/HttpServer.js');
  const { addRoute } = clientsClass.prototype;
  const { start } = httpServerClass.prototype;
  let clients: Clients | undefined;
  clientsClass.prototype.addRoute = function (...route) {
    clients = this;
    addRoute.apply(this, route);
  };
  httpServerClass.prototype.start = async function () {
    await start.call(this);
    const [framework, ...others] = this.server.listeners('request') as RequestListener[];
    if (framework === undefined || others.length > 0) throw new Error('serverless-offline does not listen as it did.');
    this.server.off('request', framework).on('request', (request, response) => {
      const connectionId = postedTo(request);
      if (connectionId === undefined) return framework(request, response);
      let frame = '';
      request.setEncoding('utf8');
      request.on('data', (text: string) => {
        frame += text;
      });
      request.on('end', () => {
        const status = clients?.send(connectionId, frame) ? 200 : 410;
        response.writeHead(status, { 'content-length': 0 }).end();
      });
    });
  };
}

async function classIn<Instance>(file: string): Promise<{ prototype: Instance }> {
  const folder = dirname(require.resolve('serverless-offline'));
  return (await import(pathToFileURL(join(folder, file)).href)).default;
}

/** Undefined where it is no post, or one that the framework might refuse. */
function postedTo({ method, url = '', headers }: IncomingMessage): string | undefined {
  const bytes = Number(headers['content-length']);
  if (method !== 'POST' || !(bytes > 0 && bytes <= 1024 * 1024)) return undefined;
  return /^\/(?:@|%40)connections\/([\w-]+)$/.exec(url)?.[1];
}
