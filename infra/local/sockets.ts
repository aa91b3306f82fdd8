import { createRequire } from 'node:module';
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

function serverClass(): typeof Server {
  return createRequire(require.resolve('serverless-offline'))('ws').WebSocketServer;
}
