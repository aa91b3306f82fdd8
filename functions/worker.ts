import { randomUUID } from 'node:crypto';
import type { Context } from 'aws-lambda';
import type { OutgoingMessage } from '../lib/amqp';
import { openLog, openPublisher } from '../lib/compose';
import { isObject, parseJson } from '../lib/json';
import { deliveriesOf } from '../lib/mq-event';
import { deadlineOf } from '../lib/route';

/**
 * The example service, on `API_QUEUE`, in place of your own: answers `{"prompt": text}` in Nest's event style, with the
 * metadata it was given. Your services need nothing of this file; see the README on how they plug in.
 */
const log = openLog('worker');
const publisher = openPublisher();

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
        properties: { contentType: 'application/json', deliveryMode: 2, messageId: randomUUID() },
      },
    ];
  });
  // Published in one go they keep their order: one channel takes them all.
  await Promise.all(replies.map((reply) => publisher.publish(reply, deadlineOf(context))));
};

function work(prompt: unknown): Record<string, unknown> {
  if (typeof prompt !== 'string') return { error: 'prompt must be a text' };
  return { prompt, answer: `The example worker has processed: ${prompt}` };
}
