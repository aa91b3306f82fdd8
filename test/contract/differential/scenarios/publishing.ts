import type { Scenario } from '../script';
import { withQueue } from '../with-queue';

/** What becomes of a message between basic.publish and its queue: its route, its return, its refusal. */

export const publishing: Scenario[] = [
  {
    name: 'a message published to the default exchange goes to the queue of that name',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a mandatory message without a route comes back whole',
    async run(script) {
      const channel = await script.open();
      channel.publish({
        routingKey: script.name('nowhere'),
        mandatory: true,
        properties: { messageId: 'm1', deliveryMode: 2, headers: { count: 1 } },
        body: 'returned',
      });
      await channel.next();
    },
  },
  {
    name: 'a mandatory message to an exchange without bindings comes back with the name of the exchange',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('unbound');
      await channel.call('exchange.declare', { exchange, type: 'topic' });
      channel.publish({ exchange, routingKey: 'a.b', mandatory: true });
      await channel.next();
    },
  },
  {
    name: 'mandatory messages come back in the order of their publishing',
    async run(script) {
      const channel = await script.open();
      for (const body of ['first', 'second', 'third']) {
        channel.publish({ routingKey: script.name('nowhere'), mandatory: true, body });
      }
      await channel.next(3);
    },
  },
  {
    name: 'a mandatory message with a route does not come back',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, mandatory: true });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.nothing();
    },
  },
  {
    name: 'a message that is not mandatory and has no route is dropped in silence',
    async run(script) {
      const channel = await script.open();
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.nothing();
    },
  },
  {
    name: 'a returned message has lost its BCC header and kept its CC header',
    async run(script) {
      const channel = await script.open();
      const routingKey = script.name('nowhere');
      channel.publish({ routingKey, mandatory: true, properties: { headers: { CC: ['cc'], BCC: ['bcc'] } } });
      await channel.next();
    },
  },
  {
    name: 'a mandatory message that only a copy routes does not come back',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const routingKey = script.name('nowhere');
      channel.publish({ routingKey, mandatory: true, properties: { headers: { BCC: [queue] } } });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.nothing();
    },
  },
  {
    name: 'immediate is refused and ends the connection',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, immediate: true });
      await channel.next();
      await channel.connection.hungUp();
    },
  },
  {
    name: 'a publish to an exchange that is not there closes the channel',
    async run(script) {
      const channel = await script.open();
      channel.publish({ exchange: script.name('missing'), routingKey: 'key' });
      await channel.next();
    },
  },
  {
    name: 'what is published behind a refused publish is lost with the channel',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, body: 'before' });
      channel.publish({ exchange: script.name('missing'), routingKey: 'key' });
      channel.publish({ routingKey: queue, body: 'behind' });
      await channel.next();
      const reader = await script.open();
      await reader.call('basic.get', { queue, noAck: true });
      await reader.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a publish to an exchange that has been deleted closes the channel',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('deleted');
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('exchange.delete', { exchange });
      channel.publish({ exchange, routingKey: 'key' });
      await channel.next();
    },
  },
  {
    name: 'a publish to an internal exchange is refused',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('internal');
      await channel.call('exchange.declare', { exchange, type: 'fanout', internal: true });
      channel.publish({ exchange, routingKey: 'key' });
      await channel.next();
    },
  },
  {
    name: 'newlines in the name of an exchange count, other than in a declare',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ exchange: '\r\n', routingKey: queue });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a user_id that names the user of the connection arrives',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, properties: { userId: 'guest' } });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a user_id that names another user is refused',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, properties: { userId: 'admin' } });
      await channel.next();
    },
  },
  {
    name: 'an empty user_id names another user',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.publish({ routingKey: queue, properties: { userId: '' } });
      await channel.next();
    },
  },
  {
    name: 'an unknown exchange is told before a wrong user_id',
    async run(script) {
      const channel = await script.open();
      channel.publish({ exchange: script.name('missing'), routingKey: 'key', properties: { userId: 'admin' } });
      await channel.next();
    },
  },
  {
    name: 'a delivery mode of neither 1 nor 2 is refused',
    async run(script) {
      for (const deliveryMode of [0, 3]) {
        const { channel, queue } = await withQueue(script);
        channel.publish({ routingKey: queue, properties: { deliveryMode } });
        await channel.next();
      }
    },
  },
  {
    name: 'of several faults of a publish the first checked is told',
    async run(script) {
      const wrong = { userId: 'admin', expiration: 'soon', deliveryMode: 3, headers: { CC: 'text', BCC: 1 } };
      const faults = [
        { ...wrong, replyTo: 'amq.rabbitmq.reply-to' },
        wrong,
        { ...wrong, userId: 'guest' },
        { deliveryMode: 3, headers: wrong.headers },
        { deliveryMode: 3, headers: { BCC: 1 } },
      ];
      for (const properties of faults) {
        const channel = await script.open();
        channel.publish({ routingKey: script.name('q'), properties });
        await channel.next();
      }
    },
  },
  {
    name: 'a message goes once to a queue that two bindings match',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const exchange = script.name('topic');
      await channel.call('exchange.declare', { exchange, type: 'topic' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'a.*' });
      await channel.call('queue.bind', { queue, exchange, routingKey: '#' });
      channel.publish({ exchange, routingKey: 'a.b' });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
];
