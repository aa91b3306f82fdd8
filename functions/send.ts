import { openLog, openSender } from '../lib/compose';
import { ackFrame, parseFrame, unknownAction } from '../lib/frames';
import { messageRoute } from '../lib/route';

const sender = openSender();

/** `send`: forwards the message to the services, and acknowledges it once RabbitMQ has it in the queue. */
export const handler = messageRoute(openLog('send'), async (event, deadline) => {
  const { action, id, data } = parseFrame(event.body);
  // API Gateway compares actions as we do; this holds where another router does not.
  if (action !== 'send') throw unknownAction(action);
  const messageId = await sender.send(
    { connectionId: event.requestContext.connectionId, clientId: id, data },
    deadline,
  );
  return ackFrame(id, messageId);
});
