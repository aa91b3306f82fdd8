import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import type { Plain } from '../values';

/** Messages and queues that end by time. The waits are generous: the machine that runs this may be slow. */

const SHORT_MS = 100;
const SURELY_OVER_MS = 800;
const LONG_MS = 600_000;

export const limitsOfTime: Scenario[] = [
  {
    name: 'a message expires by the queue’s time to live',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-message-ttl': SHORT_MS });
      await publish(channel, queue, [{ body: '1' }, { body: '2' }]);
      await script.elapse(SURELY_OVER_MS);
      await channel.call('basic.get', { queue });
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a message expires by its own time to live, and keeps the property while it lives',
    async run(script) {
      const { channel, queue } = await limited(script, {});
      await publish(channel, queue, [{ expiration: `${SHORT_MS}` }, { expiration: `${LONG_MS}`, body: 'lives' }]);
      await script.elapse(SURELY_OVER_MS);
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'of the queue’s and the message’s time to live the shorter counts',
    async run(script) {
      const short = await limited(script, { 'x-message-ttl': SHORT_MS });
      await publish(short.channel, short.queue, [{ expiration: `${LONG_MS}` }]);
      const long = await limited(script, { 'x-message-ttl': LONG_MS }, 'long');
      await publish(long.channel, long.queue, [{ expiration: `${SHORT_MS}` }]);
      await script.elapse(SURELY_OVER_MS);
      await short.channel.call('basic.get', { queue: short.queue });
      await long.channel.call('basic.get', { queue: long.queue });
    },
  },
  {
    name: 'a message without any time to live reaches a consumer that waits and nobody else',
    async run(script) {
      const { channel, queue } = await limited(script, {});
      await publish(channel, queue, [{ expiration: '0' }]);
      await channel.call('basic.get', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await publish(channel, queue, [{ expiration: '0' }]);
      await channel.deliveries(1);
    },
  },
  {
    name: 'a queue that gives no time to live hands over to consumers that wait',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-message-ttl': 0 });
      await publish(channel, queue, [{}]);
      await channel.call('basic.get', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await publish(channel, queue, [{ body: 'second' }]);
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.nothing();
    },
  },
  {
    name: 'a message that could expire waits behind one that lives longer',
    async run(script) {
      const { channel, queue } = await limited(script, {});
      await publish(channel, queue, [{ body: 'lives' }, { expiration: `${SHORT_MS}` }]);
      await script.elapse(SURELY_OVER_MS);
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a message does not expire while it is delivered, but as soon as it is returned',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-message-ttl': SHORT_MS });
      await publish(channel, queue, [{}]);
      await channel.call('basic.get', { queue });
      await script.elapse(SURELY_OVER_MS);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a message expires while consumers have no room for it',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-message-ttl': SHORT_MS });
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await publish(channel, queue, [{ body: 'held' }, { body: 'expires' }]);
      await channel.deliveries(1);
      await script.elapse(SURELY_OVER_MS);
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
    },
  },
  {
    name: 'an expiration that is no number of milliseconds closes the channel with 406',
    async run(script) {
      const connection = await script.connect();
      const texts = ['soon', '', '-1', '1.5', '10s', ' 10', '+10', '010', '315360000000', '315360000001', '1e3'];
      for (const [index, expiration] of texts.entries()) {
        const channel = await connection.channel(index + 1);
        channel.publish({ routingKey: script.name('nowhere'), mandatory: true, properties: { expiration } });
        await channel.receive('basic.return');
      }
    },
  },
  {
    name: 'a missing exchange is told before a wrong expiration',
    async run(script) {
      const channel = await script.open();
      channel.publish({ exchange: script.name('x'), routingKey: 'k', properties: { expiration: 'soon' } });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'a queue expires when nobody uses it',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-expires': SHORT_MS });
      await publish(channel, queue, [{}]);
      await script.elapse(SURELY_OVER_MS);
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a queue does not expire while it has a consumer',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-expires': SHORT_MS * 5 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await script.elapse(SURELY_OVER_MS);
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('basic.cancel', { consumerTag: 'c' });
      await script.elapse(SURELY_OVER_MS * 2);
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'getting from a queue and declaring it again put off its expiry',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-expires': 1500 });
      for (let round = 0; round < 2; round += 1) {
        await script.elapse(900);
        await channel.call('basic.get', { queue });
        await script.elapse(900);
        await channel.call('queue.declare', { queue, passive: true });
      }
    },
  },
  {
    name: 'publishing to a queue does not put off its expiry',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-expires': 1000 });
      await script.elapse(600);
      await publish(channel, queue, [{}]);
      await script.elapse(1200);
      channel.publish({ routingKey: queue, mandatory: true });
      await channel.receive('basic.return');
      await channel.confirms(1);
    },
  },
];

interface Published {
  readonly body?: string;
  readonly expiration?: string;
}

async function limited(script: Script, args: { readonly [name: string]: Plain }, base = 'q') {
  const channel = await script.open();
  const queue = script.name(base);
  await channel.call('queue.declare', { queue, arguments: args });
  return { channel, queue };
}

async function publish(channel: ScriptChannel, queue: string, messages: readonly Published[]): Promise<void> {
  await channel.call('confirm.select');
  for (const { body = 'body', ...properties } of messages) channel.publish({ routingKey: queue, properties, body });
  await channel.confirms(messages.length);
}
