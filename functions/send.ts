import { openClose, openLog, openMetrics, openSender, openUsers } from '../lib/compose';
import { ackFrame, parseFrame, unknownAction } from '../lib/frames';
import { checkMessage } from '../lib/message-schema';
import { refusalOf } from '../lib/metrics';
import { messageRoute } from '../lib/route';
import { sessionIn } from '../lib/session/claim';

const log = openLog('send');
const metrics = openMetrics();
const sender = openSender(log, metrics);
const userOf = openUsers();
const close = openClose();

/** `send`: forwards the message to the services, and acknowledges it once RabbitMQ has it in the queue. */
export const handler = messageRoute(
  log,
  async (event, deadline, messageId) => {
    // Before all else: who may not send any more is closed whatever it sends.
    const user = userOf(event);
    const frame = parseFrame(event.body);
    const { action, id, traceparent: parent } = frame;
    // API Gateway compares actions as we do; this holds where another router does not.
    if (action !== 'send') throw unknownAction(action);
    const { connectionId } = event.requestContext;
    const data = checkMessage(frame.data);
    const message = { messageId, connectionId, clientId: id, parent, session: sessionIn(frame), data, ...user };
    const sent = await sender.send(message, deadline);
    return ackFrame(id, sent.messageId, sent.duplicate);
  },
  { close, count: (refusal) => metrics.write(refusalOf(refusal)) },
);
