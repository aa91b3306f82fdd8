import { openConnections, openLog } from '../lib/compose';
import { lifecycleRoute } from '../lib/route';

const connections = openConnections();

/** `$disconnect`: removes the connection's row. API Gateway delivers it at best effort; the lease covers the rest. */
export const handler = lifecycleRoute(openLog('disconnect'), 'DISCONNECT', async ({ requestContext }) => {
  await connections.remove(requestContext.connectionId, requestContext.connectedAt);
});
