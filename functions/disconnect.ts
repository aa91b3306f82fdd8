import { openConnections, openLog } from '../lib/compose';
import { lifecycleRoute } from '../lib/route';

/** `$disconnect`: removes the connection's row. API Gateway delivers it at best effort; the lease covers the rest. */
const connections = openConnections();

export const handler = lifecycleRoute(openLog('disconnect'), 'DISCONNECT', async ({ requestContext }) => {
  await connections.remove(requestContext.connectionId, requestContext.connectedAt);
});
