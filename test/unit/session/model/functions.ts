import { jest } from '@jest/globals';
import type { Context } from 'aws-lambda';
import type { Connections } from '../../../../lib/connections';
import { noMetrics } from '../../../../lib/metrics';
import type { RouteHandler, RouteResponse, WebSocketEvent } from '../../../../lib/route';
import type { SessionRoutes } from '../../../../lib/session/resume';
import type { SessionSender } from '../../../../lib/session/sending';
import type { Sessions } from '../../../../lib/session/sessions';
import { silentLog } from '../../../helpers/silent-log';

/** The functions themselves, each call of them with its own ports instead of those that they are deployed with. */

export interface Ports {
  routes: SessionRoutes;
  sender: SessionSender;
  connections: Connections;
  sessions: Sessions;
}

export interface Functions {
  /** By action. */
  routes: Record<string, RouteHandler>;
  disconnect: RouteHandler;
}

let ports: Ports | undefined;

function current(): Ports {
  if (ports === undefined) throw new Error('No function is called.');
  return ports;
}

/** A function asks for its ports when it begins, before it waits for anything. */
export function call(
  handler: RouteHandler,
  event: WebSocketEvent,
  remainingMs: number,
  of: Ports,
): Promise<RouteResponse> {
  ports = of;
  return handler(event, { getRemainingTimeInMillis: () => remainingMs } as Context);
}

export async function loadFunctions(): Promise<Functions> {
  jest.doMock('../../../../lib/compose', () => ({
    openLog: () => silentLog,
    openMetrics: () => noMetrics,
    openUsers: () => () => ({}),
    openClose: () => undefined,
    openSender: () => ({ send: (...args: Parameters<SessionSender['send']>) => current().sender.send(...args) }),
    openSessionRoutes: () => ({
      open: (...args: Parameters<SessionRoutes['open']>) => current().routes.open(...args),
      resume: (...args: Parameters<SessionRoutes['resume']>) => current().routes.resume(...args),
      received: (...args: Parameters<SessionRoutes['received']>) => current().routes.received(...args),
    }),
    openConnections: () => ({
      remove: (...args: Parameters<Connections['remove']>) => current().connections.remove(...args),
    }),
    openSessions: () => ({ detach: (...args: Parameters<Sessions['detach']>) => current().sessions.detach(...args) }),
  }));
  const [session, send, fallback, disconnect] = await Promise.all([
    import('../../../../functions/session'),
    import('../../../../functions/send'),
    import('../../../../functions/default'),
    import('../../../../functions/disconnect'),
  ]);
  const routes = { session: session.handler, received: session.handler, send: send.handler, ping: fallback.handler };
  return { routes, disconnect: disconnect.handler };
}
