import { openLog, openMetrics, openSessionRoutes, openUsers } from '../lib/compose';
import { parseFrame, unknownAction } from '../lib/frames';
import { failureOf } from '../lib/metrics';
import { messageRoute } from '../lib/route';
import { claimIn, readsBatches, seqIn } from '../lib/session/claim';

const log = openLog('session');
const metrics = openMetrics();
const userOf = openUsers();
const { open, resume, received, close } = openSessionRoutes(log, metrics);

/** `session` and `received`: opens a session or takes one over, and hears what its client has. */
export const handler = messageRoute(
  log,
  async (event, deadline) => {
    // Before all else, as in `send`.
    const user = userOf(event);
    const frame = parseFrame(event.body);
    const { connectionId, connectedAt } = event.requestContext;
    const connection = { connectionId, connectedAt, ...user };
    if (frame.action === 'received') return received(connection, seqIn(frame), frame.id, deadline);
    if (frame.action !== 'session') throw unknownAction(frame.action);
    const holder = { ...connection, readsBatches: readsBatches(frame) };
    const claim = claimIn(frame);
    return claim === undefined ? open(holder, frame.id, deadline) : resume(holder, claim, frame.id, deadline);
  },
  { close, count: (refusal) => metrics.write(failureOf(refusal)) },
);
