import { openConnections, openLog, openMetrics } from '../lib/compose';
import { lifecycleRoute } from '../lib/route';

const connections = openConnections();
const metrics = openMetrics();

/** `$disconnect`: removes the connection's row. API Gateway delivers it at best effort; the lease covers the rest. */
export const handler = lifecycleRoute(openLog('disconnect'), 'DISCONNECT', async ({ requestContext }) => {
  // Whether or not there is a row: the consumer may have found the client gone before.
  metrics.write({ ConnectionsClosed: 1 });
  await connections.remove(requestContext.connectionId, requestContext.connectedAt);
});
