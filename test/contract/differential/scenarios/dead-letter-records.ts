import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import { type Plain, typed } from '../values';
import type { Received } from '../wire';
import { letters } from '../with-queue';

/** What a dead letter tells of its deaths, and what stops letters that go in circles. */

const NOT_THE_CLIENTS =
  '3.10 and 3.13: records that the publisher wrote are counted on and kept; 4.x: the broker keeps its own count';

export const deadLetterRecords: Scenario[] = [
  {
    name: 'a chain of deaths has a record of each queue, the latest first, and the first death apart',
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['first', 'second', 'third', 'dead'], { 'x-message-ttl': 50 });
      await channel.call('confirm.select');
      channel.publish({ routingKey: script.name('first'), properties: { messageId: 'm1' } });
      await channel.confirms(1);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a second death by the same reason in the same queue is counted',
    async run(script) {
      const { channel, source } = await returning(script);
      channel.publish({ routingKey: source });
      for (let round = 1; round <= 3; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.reject', { deliveryTag: round });
      }
      await channel.deliveries(1);
    },
  },
  {
    name: 'deaths by another reason in the same queue have a record of their own',
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead']);
      const source = script.name('source');
      channel.publish({ routingKey: source, properties: { expiration: '50' } });
      await channel.call('basic.consume', { queue: script.name('dead'), consumerTag: 'dead' });
      const [first] = await channel.deliveries(1);
      channel.publish({ routingKey: source, properties: propertiesOf(first) });
      await channel.call('basic.consume', { queue: source, consumerTag: 'source' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 2 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a record that is counted again moves to the front',
    async run(script) {
      const channel = await script.open();
      const [one, two] = [script.name('one'), script.name('two')];
      const to = (queue: string) => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue });
      await channel.call('queue.declare', { queue: one, arguments: to(two) });
      await channel.call('queue.declare', { queue: two, arguments: to(one) });
      channel.publish({ routingKey: one });
      await channel.call('basic.consume', { queue: one, consumerTag: 'one' });
      await channel.call('basic.consume', { queue: two, consumerTag: 'two' });
      for (let round = 1; round <= 4; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.nack', { deliveryTag: round });
      }
      await channel.deliveries(1);
    },
  },
  {
    name: 'letters that go in circles without a rejection are dropped',
    async run(script) {
      const channel = await script.open();
      const [one, two] = [script.name('one'), script.name('two')];
      const to = (queue: string) => ({
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': queue,
        'x-message-ttl': 50,
      });
      await channel.call('queue.declare', { queue: one, arguments: to(two) });
      await channel.call('queue.declare', { queue: two, arguments: to(one) });
      channel.publish({ routingKey: one });
      await script.elapse(800);
      await channel.call('queue.declare', { queue: one, passive: true });
      await channel.call('queue.declare', { queue: two, passive: true });
    },
  },
  {
    name: 'a queue whose expired messages come back to itself loses them',
    async run(script) {
      const channel = await script.open();
      const source = script.name('source');
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': '', 'x-message-ttl': 50 },
      });
      channel.publish({ routingKey: source });
      await script.elapse(800);
      await channel.call('basic.get', { queue: source });
    },
  },
  {
    name: 'a queue whose dropped messages come back to itself loses them',
    async run(script) {
      const channel = await script.open();
      const source = script.name('source');
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': '', 'x-max-length': 1 },
      });
      await channel.call('confirm.select');
      for (const body of ['1', '2', '3']) channel.publish({ routingKey: source, body });
      await channel.confirms(3);
      await script.elapse(300);
      await channel.call('basic.get', { queue: source });
    },
  },
  {
    name: 'a rejection in the circle keeps it going',
    async run(script) {
      const channel = await script.open();
      const [work, wait] = [script.name('work'), script.name('wait')];
      const to = (queue: string) => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue });
      await channel.call('queue.declare', { queue: work, arguments: to(wait) });
      await channel.call('queue.declare', { queue: wait, arguments: { ...to(work), 'x-message-ttl': 50 } });
      channel.publish({ routingKey: work });
      await channel.call('basic.consume', { queue: work, consumerTag: 'work' });
      for (let round = 1; round <= 3; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.reject', { deliveryTag: round });
      }
      await channel.deliveries(1);
    },
  },
  {
    name: 'the record names the exchange and the keys that the message was published with',
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const source = script.name('source');
      await channel.call('queue.bind', { queue: source, exchange: 'amq.direct', routingKey: 'key' });
      channel.publish({
        exchange: 'amq.direct',
        routingKey: 'key',
        properties: { headers: { CC: ['one', 'two'], own: 1 } },
      });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a routing key of the queue’s replaces those of the CC header, which goes',
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const other = script.name('other');
      channel.publish({ routingKey: script.name('source'), properties: { headers: { CC: [other] } } });
      await channel.call('queue.declare', { queue: other });
      await letters(channel, script, 1);
      await channel.call('basic.get', { queue: other });
    },
  },
  {
    name: 'without a routing key of the queue’s a letter goes by the CC header too',
    async run(script) {
      const channel = await script.open();
      const [source, dead, exchange] = [script.name('source'), script.name('dead'), script.name('dlx')];
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange, routingKey: 'copy' });
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': exchange, 'x-max-length': 0 },
      });
      channel.publish({ routingKey: source, properties: { headers: { CC: ['copy'] } } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a key of the BCC header is in no record, and a letter goes by it',
    async run(script) {
      const channel = await script.open();
      const [source, dead, exchange] = [script.name('source'), script.name('dead'), script.name('dlx')];
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange, routingKey: 'hidden' });
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': exchange, 'x-max-length': 0 },
      });
      channel.publish({ routingKey: source, properties: { headers: { CC: ['copy'], BCC: ['hidden'] } } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'headers that were there stay in their place before those of the death',
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const headers = { zebra: 1, apple: 'a', 'x-own': true, nested: { deep: [1, 'two'] } };
      channel.publish({ routingKey: script.name('source'), properties: { headers, appId: 'app', type: 't' } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a record of the publisher’s own is counted on',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const source = script.name('source');
      const death = { queue: source, reason: 'maxlen', count: typed({ type: 'long', value: 41n }), own: 'kept' };
      channel.publish({ routingKey: source, properties: { headers: { 'x-death': [death] } } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'records of the publisher’s of other deaths stay behind the new one',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const deaths = [
        { queue: 'elsewhere', reason: 'expired', count: 1 },
        { queue: 'source', reason: 'other' },
      ];
      const headers = { 'x-death': deaths, 'x-first-death-queue': 'mine' };
      channel.publish({ routingKey: script.name('source'), properties: { headers } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'of several records of the same queue and reason the first stays',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const [a, b] = [
        { queue: 'a', reason: 'expired' },
        { queue: 'b', reason: 'expired' },
      ];
      const deaths = [{ ...a, count: 2 }, b, { ...a, count: 7 }, b, { queue: script.name('source'), reason: 'maxlen' }];
      channel.publish({ routingKey: script.name('source'), properties: { headers: { 'x-death': deaths } } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'an x-death header that is no list is replaced',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      channel.publish({ routingKey: script.name('source'), properties: { headers: { 'x-death': 'once' } } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'the headers of a first death that the publisher wrote give way',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const headers = { 'x-first-death-queue': 'mine', 'x-first-death-reason': 5 };
      channel.publish({ routingKey: script.name('source'), properties: { headers } });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a letter published again as it is goes on with its records',
    follows: NOT_THE_CLIENTS,
    async run(script) {
      const channel = await script.open();
      await chain(channel, script, ['source', 'dead'], { 'x-max-length': 0 });
      const source = script.name('source');
      await channel.call('basic.consume', { queue: script.name('dead'), consumerTag: 'dead' });
      channel.publish({ routingKey: source });
      const [letter] = await channel.deliveries(1);
      channel.publish({ routingKey: source, properties: propertiesOf(letter) });
      await channel.deliveries(1);
    },
  },
];

/** Queues of which each hands its letters to the next. */
async function chain(
  channel: ScriptChannel,
  script: Script,
  names: readonly string[],
  args: { readonly [name: string]: Plain } = {},
): Promise<void> {
  for (const [index, name] of names.entries()) {
    const next = names[index + 1];
    const letters = next && { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': script.name(next), ...args };
    await channel.call('queue.declare', { queue: script.name(name), ...(letters && { arguments: letters }) });
  }
}

/** A queue that gets its own letters, with a consumer. */
async function returning(script: Script) {
  const channel = await script.open();
  const source = script.name('source');
  await channel.call('queue.declare', { queue: source, arguments: { 'x-dead-letter-exchange': '' } });
  await channel.call('basic.consume', { queue: source, consumerTag: 'c' });
  return { channel, source };
}

/** As a client publishes again what it was given. */
function propertiesOf(received: Received | undefined) {
  const { headers, ...simple } = received?.properties ?? {};
  return { ...simple, headers: Object.fromEntries([...(headers ?? [])].map(([name, field]) => [name, typed(field)])) };
}
