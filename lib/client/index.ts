import { openGateway } from './gateway';
import { timing } from './timing';
import type { Gateway, Options, WebSocketConstructor } from './types';

/**
 * The client library: one connection to the gateway that goes on through cuts, reloads and API Gateway's limits. It has no
 * dependencies, and runs in browsers and in Node. docs/CLIENT.md is its manual.
 */

export { type ClientCode, type ErrorCode, GatewayError, type WireCode } from './errors';
export type * from './types';

/**
 * Connects, and stays connected until it is closed.
 *
 * @param url of the gateway: `wss://...`
 * @throws TypeError where there is no WebSocket.
 *
 * @example
 * import { connect } from 'ws-gateway/client';
 *
 * const gateway = connect('wss://example.execute-api.eu-west-1.amazonaws.com/dev', { session: 'auto', storage: sessionStorage });
 * gateway.on('recv', ({ data }) => show(data));
 * await gateway.send({ prompt: 'hello' });
 */
export function connect(url: string, options: Options = {}): Gateway {
  const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (!WebSocket) throw new TypeError('There is no WebSocket here; pass that of the package ws in the options.');
  return openGateway(url, WebSocket, options, timing);
}
