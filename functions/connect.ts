import { openConnections, openLog } from '../lib/compose';
import { leaseFrom } from '../lib/connections';
import { lifecycleRoute } from '../lib/route';

const connections = openConnections();

/** `$connect`: writes the connection's row; a client is let in only once it is written. */
export const handler = lifecycleRoute(openLog('connect'), 'CONNECT', async ({ requestContext }) => {
  await connections.open(leaseFrom(requestContext.connectionId, requestContext.connectedAt));
});
