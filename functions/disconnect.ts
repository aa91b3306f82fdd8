import { openConnections, openLog, openMetrics, openSessions } from '../lib/compose';
import { lifecycleRoute } from '../lib/route';

const connections = openConnections();
const sessions = openSessions();
const metrics = openMetrics();

/**
 * `$disconnect`: removes the connection's row, and lets its session wait for the next one. API Gateway delivers it at best
 * effort; the lease covers the rest.
 */
export const handler = lifecycleRoute(openLog('disconnect'), 'DISCONNECT', async ({ requestContext }, deadline) => {
  const { connectionId, connectedAt } = requestContext;
  // Whether or not there is a row: the consumer may have found the client gone before.
  metrics.write({ ConnectionsClosed: 1 });
  const { session } = await connections.remove(connectionId, connectedAt);
  if (session !== undefined) await sessions.detach(session, connectionId, deadline);
  return undefined;
});
