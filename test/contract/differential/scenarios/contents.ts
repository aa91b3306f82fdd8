import type { Scenario } from '../script';
import { typed } from '../values';
import { withQueue } from '../with-queue';

/** Properties, headers and bodies: what of a message arrives unchanged. */

export const contents: Scenario[] = [
  {
    name: 'every property arrives as it was sent',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({
        routingKey: queue,
        properties: {
          contentType: 'application/json',
          contentEncoding: 'gzip',
          headers: { trace: 'abc' },
          deliveryMode: 2,
          priority: 9,
          correlationId: 'c1',
          replyTo: 'replies',
          expiration: '600000',
          messageId: 'm1',
          timestamp: 1n,
          type: 'order.created',
          userId: 'guest',
          appId: 'shop',
          clusterId: 'c',
        },
      });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'properties that are empty or zero arrive as empty or zero, not as absent',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const properties = { contentType: '', headers: {}, priority: 0, messageId: '', timestamp: 0n };
      channel.publish({ routingKey: queue, properties });
      const got = await channel.call('basic.get', { queue, noAck: true });
      script.note(Object.keys(got?.properties ?? {}).join(' '));
    },
  },
  {
    name: 'values of properties that mean nothing to the broker arrive as they are',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const properties = { priority: 255, timestamp: 2n ** 64n - 1n, replyTo: 'é', type: 'x'.repeat(255) };
      channel.publish({ routingKey: queue, properties });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'headers of every type arrive with their types',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, properties: { headers: EVERY_TYPE } });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'headers keep their order, nest, and may have an empty name',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const headers = { zulu: 1, alpha: { inner: [1, { deep: [true, [], {}] }] }, '': 'unnamed', é: 'ü' };
      channel.publish({ routingKey: queue, properties: { headers } });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an empty body arrives empty',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, body: '' });
      channel.publish({ routingKey: queue, body: '', properties: { headers: {} } });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.consume', { queue, consumerTag: 'tag', noAck: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a body that takes several frames arrives whole',
    async run(script) {
      const channel = await script.open({ frameMax: 4096 });
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      const body = Array.from({ length: 2000 }, (_, index) => String(index)).join(' ');
      channel.publish({ routingKey: queue, body });
      const got = await channel.call('basic.get', { queue, noAck: true });
      script.note(String(got?.body?.toString() === body));
    },
  },
  {
    name: 'a body published in large frames is delivered in the small frames of its consumer',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const consumer = await script.open({ frameMax: 4096 });
      await consumer.call('basic.consume', { queue, consumerTag: 'tag', noAck: true });
      for (const length of [4087, 4088, 4089, 100_000])
        channel.publish({ routingKey: queue, body: 'x'.repeat(length) });
      await consumer.deliveries(4);
    },
  },
  {
    name: 'a routing key may be 255 bytes of anything',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const exchange = script.name('fanout');
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('queue.bind', { queue, exchange });
      for (const routingKey of ['', 'k'.repeat(255), 'clé\n\0']) {
        channel.publish({ exchange, routingKey });
        await channel.call('basic.get', { queue, noAck: true });
      }
    },
  },
];

const EVERY_TYPE = {
  longstr: 'text',
  bytes: typed({ type: 'longstr', value: Buffer.from([0xff, 0x00, 0x80]) }),
  binary: typed({ type: 'binary', value: Buffer.from([0xff, 0x01]) }),
  byte: typed({ type: 'byte', value: -128 }),
  unsignedbyte: typed({ type: 'unsignedbyte', value: 255 }),
  short: typed({ type: 'short', value: -32_768 }),
  unsignedshort: typed({ type: 'unsignedshort', value: 65_535 }),
  signedint: typed({ type: 'signedint', value: -(2 ** 31) }),
  unsignedint: typed({ type: 'unsignedint', value: 2 ** 32 - 1 }),
  long: typed({ type: 'long', value: -(2n ** 63n) }),
  timestamp: typed({ type: 'timestamp', value: 1_234_567_890n }),
  float: typed({ type: 'float', value: 0.5 }),
  double: typed({ type: 'double', value: 1e300 }),
  decimal: typed({ type: 'decimal', value: { places: 2, digits: 314 } }),
  bool: true,
  void: null,
  array: [1, 'two', [3]],
  table: { inner: { innermost: 1 } },
};
