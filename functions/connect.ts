import { openConnections, openLog, openMetrics } from '../lib/compose';
import { leaseFrom } from '../lib/connections';
import { chosenProtocol, offeredProtocols } from '../lib/handshake';
import { principalOf } from '../lib/principal';
import { lifecycleRoute } from '../lib/route';

const connections = openConnections();
const metrics = openMetrics();

/** `$connect`: writes the connection's row; a client is let in only once it is written. */
export const handler = lifecycleRoute(openLog('connect'), 'CONNECT', async (event) => {
  const { connectionId, connectedAt, authorizer } = event.requestContext;
  await connections.open(leaseFrom(connectionId, connectedAt, principalOf(authorizer)?.userId));
  metrics.write({ ConnectionsOpened: 1 });
  const protocol = chosenProtocol(offeredProtocols(event));
  return protocol === undefined ? undefined : { 'Sec-WebSocket-Protocol': protocol };
});
