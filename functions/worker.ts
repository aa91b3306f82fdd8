import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import type { Delivery } from '../lib/amqp';
import { openLog, openPublisher } from '../lib/compose';
import { deadlineOf } from '../lib/deadline';
import { GatewayError } from '../lib/errors';
import { isObject, parseJson } from '../lib/json';
import { deliveriesOf } from '../lib/mq-event';
import { readTraceparent } from '../lib/traceparent';

const log = openLog('worker');
const publisher = openPublisher();

/**
 * The example service, on `API_QUEUE`, in place of your own: answers `{"prompt": text}` in Nest's event style, with the
 * metadata and the traceparent it was given. Your services need nothing of this file; see the README on how they plug in.
 */
export const handler = async (event: unknown, context: Context): Promise<void> => {
  const deadline = deadlineOf(context);
  // All at once, and still in order: they are published on one channel.
  await Promise.all(deliveriesOf(event).map((request) => answer(request, deadline)));
};

/** A request that cannot be answered is its sender's loss alone; without a broker the whole batch comes back. */
async function answer({ body, properties }: Delivery, deadline: number): Promise<void> {
  const { messageId, replyTo = '', headers } = properties;
  const traceparent = readTraceparent(headers?.traceparent);
  try {
    const packet = parseJson(body.toString('utf8'));
    const data = isObject(packet) && isObject(packet.data) ? packet.data : {};
    const reply = { pattern: { cmd: 'recv' }, data: { ...work(data.prompt), metadata: data.metadata } };
    await publisher.publish(
      {
        queue: replyTo,
        body: Buffer.from(JSON.stringify(reply)),
        properties: {
          contentType: 'application/json',
          deliveryMode: 2,
          messageId: replyId(messageId),
          headers: traceparent === undefined ? {} : { traceparent },
        },
      },
      deadline,
    );
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'unavailable') throw error;
    log.warn('Dropped a request that cannot be answered', { messageId, traceparent, error });
  }
}

function work(prompt: unknown): Record<string, unknown> {
  if (typeof prompt !== 'string') return { error: 'prompt must be a text' };
  return { prompt, answer: `The example worker has processed: ${prompt}` };
}

/** The same for a request that comes again, so that its copy can be told. */
function replyId(requestId: string = randomUUID()): string {
  return `${requestId}:reply`;
}
