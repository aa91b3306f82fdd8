import { startMapping } from '../../../infra/local/event-source/mapping';

/**
 * The event source mapping of one queue, and the packaged consumer behind it, as a process of its own. Environment:
 * that of the consumer, QUEUE, and BUNDLE, the path of the consumer.
 */
const { AMQP_URL = '', QUEUE = '', BUNDLE = '' } = process.env;

const timeoutMs = 60_000;
const { handler } = require(BUNDLE);

const spec = { functionKey: 'consumer', queue: QUEUE, virtualHost: '/', batchSize: 100, windowMs: 0 };
startMapping(
  { ...spec, eventSourceArn: 'arn:aws:mq:us-east-1:123456789012:broker:local:b-local' },
  {
    url: AMQP_URL,
    invoke(_, event) {
      const endsAt = Date.now() + timeoutMs;
      return handler(event, { getRemainingTimeInMillis: () => endsAt - Date.now() });
    },
    report: console.error,
  },
);

process.on('disconnect', () => process.exit());
process.send?.('ready');
