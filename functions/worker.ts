import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import type { OutgoingMessage } from '../lib/amqp';
import { openLog, openPublisher } from '../lib/compose';
import { deadlineOf } from '../lib/deadline';
import { GatewayError } from '../lib/errors';
import { isObject, parseJson } from '../lib/json';
import { deliveriesOf } from '../lib/mq-event';

const log = openLog('worker');
const publisher = openPublisher();

/**
 * The example service, on `API_QUEUE`, in place of your own: answers `{"prompt": text}` in Nest's event style, with the
 * metadata it was given. Your services need nothing of this file; see the README on how they plug in.
 */
export const handler = async (event: unknown, context: Context): Promise<void> => {
  const replies = deliveriesOf(event).flatMap(({ body, properties }): OutgoingMessage[] => {
    const packet = parseJson(body.toString('utf8'));
    const data = isObject(packet) && isObject(packet.data) ? packet.data : undefined;
    if (data === undefined || properties.replyTo === undefined) {
      log.warn('Skipped a message that is no request of the gateway');
      return [];
    }
    const reply = { pattern: { cmd: 'recv' }, data: { ...work(data.prompt), metadata: data.metadata } };
    return [
      {
        queue: properties.replyTo,
        body: Buffer.from(JSON.stringify(reply)),
        properties: {
          contentType: 'application/json',
          deliveryMode: 2,
          messageId: replyId(properties.messageId),
        },
      },
    ];
  });
  // Published in one go they keep their order: one channel takes them all.
  await Promise.all(replies.map((reply) => publish(reply, deadlineOf(context))));
};

/** A reply queue that no longer exists is its owner's loss alone; without a broker the whole batch comes back. */
async function publish(reply: OutgoingMessage, deadline: number): Promise<void> {
  try {
    await publisher.publish(reply, deadline);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'unroutable') throw error;
    log.warn('Dropped a reply whose queue does not exist', { queue: reply.queue });
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
