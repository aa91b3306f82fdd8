import { createRequire } from 'node:module';
import type { Server, WebSocket } from 'ws';

/**
 * serverless-offline does not listen for errors of its clients' sockets, so that one frame that breaks the WebSocket
 * protocol would end the process. `ws` closes such a connection by itself, with the code for it; all that is missing is
 * somebody who hears of the error.
 */
export function surviveBadFrames(): void {
  const { WebSocketServer } = createRequire(require.resolve('serverless-offline'))('ws') as {
    WebSocketServer: typeof Server;
  };
  const { emit } = WebSocketServer.prototype;
  WebSocketServer.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]) {
    if (event === 'connection') (args[0] as WebSocket).on('error', () => undefined);
    return emit.call(this, event, ...args);
  };
}
