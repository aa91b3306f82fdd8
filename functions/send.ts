import { openClose, openLog, openMetrics, openSender, openUsers } from '../lib/compose';
import { ackFrame, parseFrame, unknownAction } from '../lib/frames';
import { refusalOf } from '../lib/metrics';
import { messageRoute } from '../lib/route';
import { traceparentOf } from '../lib/traceparent';

const metrics = openMetrics();
const sender = openSender(metrics);
const userOf = openUsers();
const close = openClose();

/** `send`: forwards the message to the services, and acknowledges it once RabbitMQ has it in the queue. */
export const handler = messageRoute(
  openLog('send'),
  async (event, deadline, messageId) => {
    // Before all else: who may not send any more is closed whatever it sends.
    const user = userOf(event);
    const { action, id, data, traceparent: parent } = parseFrame(event.body);
    // API Gateway compares actions as we do; this holds where another router does not.
    if (action !== 'send') throw unknownAction(action);
    const { connectionId } = event.requestContext;
    const traceparent = traceparentOf(messageId, parent);
    await sender.send({ messageId, traceparent, connectionId, clientId: id, data, ...user }, deadline);
    return ackFrame(id, messageId);
  },
  { close, count: (refusal) => metrics.write(refusalOf(refusal)) },
);
