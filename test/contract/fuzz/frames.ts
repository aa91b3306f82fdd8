import type { FieldValue } from '../../../infra/local/broker/fields';
import { content, login, method } from '../../helpers/amqp-frames';

/** What a client says that does all right: the words, which the other modules here get wrong. */

export const MAX_FRAME_BYTES = 8192;

/** As far as a channel 1 that is open. */
export const LOGIN = [
  ...login({
    capabilities: ['consumer_cancel_notify', 'connection.blocked'],
    channelMax: 9,
    frameMax: MAX_FRAME_BYTES,
    // Of a client that is made to wait nothing is read: that it has gone shows when a heartbeat is sent to it.
    heartbeat: 2,
  }),
  method(1, 'channel.open'),
];

/** Says that it goes, and that it takes a refusal. */
export const GOODBYE = method(0, 'connection.close', { replyCode: 200, replyText: 'bye' });
export const CLOSE_OK = method(0, 'connection.close-ok');

/** Names that every client of these tests shares, so that they get in each other's way. */
export const EXCHANGES = ['', 'fuzz.topic', 'fuzz.headers', 'amq.fanout', 'amq.direct'] as const;
export const EXCLUSIVE_QUEUES = ['fuzz.own.1', 'fuzz.own.2'] as const;
export const QUEUES = ['', 'fuzz.1', 'fuzz.2', 'fuzz.mortal', ...EXCLUSIVE_QUEUES, 'amq.rabbitmq.reply-to'] as const;

/** A session that uses a bit of everything. */
export const SESSION = [
  ...LOGIN,
  method(1, 'exchange.declare', { exchange: 'fuzz.topic', type: 'topic', autoDelete: true }),
  method(1, 'queue.declare', {
    queue: 'fuzz.own.1',
    exclusive: true,
    arguments: new Map<string, FieldValue>([
      ['x-max-length', { type: 'signedint', value: 9 }],
      ['x-message-ttl', { type: 'signedint', value: 40 }],
      ['x-dead-letter-exchange', { type: 'longstr', value: 'fuzz.topic' }],
    ]),
  }),
  method(1, 'queue.bind', { exchange: 'fuzz.topic', routingKey: '#.a.*' }),
  method(1, 'confirm.select'),
  method(1, 'basic.qos', { prefetchCount: 2 }),
  method(1, 'basic.consume', { consumerTag: 'fuzz' }),
  method(1, 'basic.publish', { exchange: 'fuzz.topic', routingKey: 'x.a.y', mandatory: true }),
  content(1, Buffer.from('body'), { headers: new Map([['CC', { type: 'array', value: [] }]]), expiration: '5' }),
  method(1, 'basic.nack', { deliveryTag: 1n, requeue: true }),
  method(1, 'basic.reject', { deliveryTag: 2n }),
  method(1, 'basic.get', {}),
  method(2, 'channel.open'),
  method(2, 'tx.select'),
  method(2, 'basic.publish', { routingKey: 'fuzz.own.1' }),
  content(2, Buffer.alloc(0)),
  method(2, 'tx.commit'),
  method(1, 'basic.cancel', { consumerTag: 'fuzz' }),
  method(1, 'channel.close', { replyCode: 200, replyText: 'bye' }),
  GOODBYE,
];
