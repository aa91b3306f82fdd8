import type { IncomingMessage, RequestListener, Server as WebServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Server, WebSocket } from 'ws';
import { chosenProtocol } from '../../lib/handshake';

/** What a client may leave unread, apart from what the network holds. */
const maxUnreadBytes = 16 * 1024 * 1024;

/**
 * serverless-offline trusts its clients, and one of them could end the process. It does not listen for errors of their
 * sockets, such as of a frame that breaks the WebSocket protocol: `ws` closes that connection by itself, with the code
 * for it, and all that is missing is somebody who hears of the error. And it keeps for a client whatever that does not
 * read: such a connection is ended here. API Gateway's buffer is limited too, but there the post is refused (429).
 */
export function surviveClients(): void {
  const WebSocketServer = serverClass();
  const { emit } = WebSocketServer.prototype;
  WebSocketServer.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]) {
    if (event === 'connection') {
      const socket = args[0] as WebSocket;
      socket.on('error', () => undefined);
      const send = socket.send.bind(socket);
      socket.send = (data: string) => {
        if (socket.bufferedAmount > maxUnreadBytes) socket.terminate();
        else send(data);
      };
    }
    return emit.call(this, event, ...args);
  };
}

/** serverless-offline answers with the first sub-protocol that a client offers, which may be its token. */
export function answerSubProtocols(): void {
  const { prototype } = serverClass();
  const { handleUpgrade } = prototype;
  prototype.handleUpgrade = function (this: Server, ...upgrade: Parameters<typeof handleUpgrade>) {
    this.options.handleProtocols = (offered) => chosenProtocol(offered) ?? false;
    return handleUpgrade.apply(this, upgrade);
  };
}

/**
 * serverless-offline answers @connections by a web framework, which costs more than the post itself. A post as the functions
 * send it is taken here; whatever else comes is still answered there.
 */
export async function answerPosts(): Promise<void> {
  const clientsClass = await classIn<Clients>('events/websocket/WebSocketClients.js');
  const httpServerClass = await classIn<OfflineServer>('events/websocket/HttpServer.js');
  const { addRoute } = clientsClass.prototype;
  const { start } = httpServerClass.prototype;
  let clients: Clients | undefined;
  clientsClass.prototype.addRoute = function (...route) {
    clients = this;
    addRoute.apply(this, route);
  };
  httpServerClass.prototype.start = async function () {
    await start.call(this);
    const [framework] = this.server.listeners('request') as [RequestListener];
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

/** The parts of serverless-offline's classes, which it does not export, that are used here. */
interface Clients {
  addRoute(...route: unknown[]): void;
  /** False where there is no such connection. */
  send(connectionId: string, frame: string): boolean;
}

interface OfflineServer {
  start(): Promise<void>;
  server: WebServer;
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

function serverClass(): typeof Server {
  return createRequire(require.resolve('serverless-offline'))('ws').WebSocketServer;
}
