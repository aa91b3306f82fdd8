import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import type { Plain } from '../values';
import { letters } from '../with-queue';

/** Which messages become dead letters, and where these go. */

export const deadLetters: Scenario[] = [
  {
    name: 'a rejected message is a dead letter',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1'], { messageId: 'm1', contentType: 'text/plain', deliveryMode: 2 });
      await channel.call('basic.get', { queue: source });
      channel.cast('basic.reject', { deliveryTag: 1 });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'of a negative acknowledgement of several the letters come in their order',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1', '2', '3']);
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue: source });
      channel.cast('basic.nack', { deliveryTag: 3, multiple: true });
      await letters(channel, script, 3);
    },
  },
  {
    name: 'an expired message is a dead letter without its expiration',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1'], { expiration: '50', priority: 3 });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a message that expires by its queue leaves no original expiration',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-message-ttl': 50 });
      await publish(channel, source, ['1', '2']);
      await letters(channel, script, 2);
    },
  },
  {
    name: 'a message whose queue was quicker than its own expiration has it in the record',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-message-ttl': 50 });
      await publish(channel, source, ['1'], { expiration: '600000' });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a message without any time to live is a dead letter at once',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-message-ttl': 0 });
      await publish(channel, source, ['1']);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a message that had to wait for its place expires once it is the first',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['stays']);
      await publish(channel, source, ['expires'], { expiration: '300' });
      await channel.call('basic.get', { queue: source });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a rejected message with an expiration keeps it in the record alone',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1'], { expiration: '600000' });
      await channel.call('basic.get', { queue: source });
      channel.cast('basic.reject', { deliveryTag: 1 });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'what a full queue drops is a dead letter',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-max-length': 1 });
      await publish(channel, source, ['1', '2', '3']);
      await letters(channel, script, 2);
      await channel.call('basic.get', { queue: source });
    },
  },
  {
    name: 'a queue for no messages dead-letters all of them',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-max-length': 0 });
      await publish(channel, source, ['1', '2']);
      await letters(channel, script, 2);
    },
  },
  {
    name: 'the letters of what is too long come before those of what expires',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-max-length': 1, 'x-message-ttl': 300 });
      await publish(channel, source, ['1', '2']);
      await letters(channel, script, 2);
    },
  },
  {
    name: 'messages that are returned, purged, deleted or taken without acknowledgement are no dead letters',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1', '2', '3']);
      await channel.call('basic.get', { queue: source });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue: source, noAck: true });
      await channel.call('basic.get', { queue: source });
      channel.cast('basic.ack', { deliveryTag: 3 });
      await channel.call('queue.purge', { queue: source });
      await publish(channel, source, ['4']);
      await channel.call('queue.delete', { queue: source });
      await letters(channel, script, 0);
    },
  },
  {
    name: 'the messages of a queue that expires are no dead letters',
    async run(script) {
      const { channel, source } = await mortal(script, { 'x-expires': 100 });
      await publish(channel, source, ['1']);
      await script.elapse(800);
      await letters(channel, script, 0);
    },
  },
  {
    name: 'what an ended channel held is returned and not dead',
    async run(script) {
      const { channel, source } = await mortal(script);
      await publish(channel, source, ['1']);
      const other = await channel.connection.channel(2);
      await other.call('basic.get', { queue: source });
      await other.call('channel.close', { replyCode: 200 });
      await letters(channel, script, 0);
      await channel.call('basic.get', { queue: source });
    },
  },
  {
    name: 'without a routing key of the queue’s own a letter keeps the message’s',
    async run(script) {
      const channel = await script.open();
      const [source, exchange, dead] = [script.name('source'), script.name('dlx'), script.name('dead')];
      await channel.call('exchange.declare', { exchange, type: 'topic' });
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange, routingKey: 'order.*' });
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': exchange, 'x-max-length': 0 },
      });
      await channel.call('queue.bind', { queue: source, exchange: 'amq.topic', routingKey: 'order.#' });
      channel.publish({ exchange: 'amq.topic', routingKey: 'order.new' });
      channel.publish({ exchange: 'amq.topic', routingKey: 'order.new.late', body: 'lost' });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'an empty routing key of the queue is one',
    async run(script) {
      const channel = await script.open();
      const [source, dead] = [script.name('source'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange: 'amq.fanout' });
      const args = { 'x-dead-letter-exchange': 'amq.fanout', 'x-dead-letter-routing-key': '', 'x-max-length': 0 };
      await channel.call('queue.declare', { queue: source, arguments: args });
      channel.publish({ routingKey: source });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'letters for an exchange that is not there are lost, until it is',
    async run(script) {
      const channel = await script.open();
      const [source, exchange, dead] = [script.name('source'), script.name('dlx'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': exchange, 'x-max-length': 0 },
      });
      await publish(channel, source, ['lost']);
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('queue.bind', { queue: dead, exchange });
      await publish(channel, source, ['found']);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a letter that no binding wants goes to the alternate exchange',
    async run(script) {
      const channel = await script.open();
      const [source, exchange, other, dead] = [
        script.name('source'),
        script.name('dlx'),
        script.name('other'),
        script.name('dead'),
      ];
      await channel.call('exchange.declare', { exchange: other, type: 'fanout' });
      await channel.call('exchange.declare', {
        exchange,
        type: 'direct',
        internal: true,
        arguments: { 'alternate-exchange': other },
      });
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange: other });
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': exchange, 'x-max-length': 0 },
      });
      await publish(channel, source, ['1']);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a full queue of letters that refuses loses them',
    async run(script) {
      const channel = await script.open();
      const [source, dead] = [script.name('source'), script.name('dead')];
      await channel.call('queue.declare', {
        queue: dead,
        arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
      });
      const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead, 'x-max-length': 0 };
      await channel.call('queue.declare', { queue: source, arguments: args });
      await publish(channel, source, ['kept', 'lost']);
      // The letters are on their way when the publisher has its confirms.
      await script.elapse(300);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a rejection in a transaction makes a letter when that is committed',
    async run(script) {
      const { channel, source } = await mortal(script);
      await channel.call('tx.select');
      channel.publish({ routingKey: source });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue: source });
      channel.cast('basic.reject', { deliveryTag: 1 });
      await channel.call('tx.rollback');
      channel.cast('basic.reject', { deliveryTag: 1 });
      await channel.call('tx.commit');
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a letter comes once through exchanges that are bound in a circle',
    async run(script) {
      const channel = await script.open();
      const [source, dead] = [script.name('source'), script.name('dead')];
      const [one, two] = [script.name('one'), script.name('two')];
      for (const exchange of [one, two]) await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('exchange.bind', { source: one, destination: two });
      await channel.call('exchange.bind', { source: two, destination: one });
      await channel.call('queue.declare', { queue: dead });
      for (const exchange of [one, two]) await channel.call('queue.bind', { queue: dead, exchange });
      const args = { 'x-dead-letter-exchange': one, 'x-max-length': 0 };
      await channel.call('queue.declare', { queue: source, arguments: args });
      await publish(channel, source, ['1']);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a letter reaches every queue that its exchange has for it',
    async run(script) {
      const channel = await script.open();
      const [source, dead, other] = [script.name('source'), script.name('dead'), script.name('other')];
      for (const queue of [dead, other]) {
        await channel.call('queue.declare', { queue });
        await channel.call('queue.bind', { queue, exchange: 'amq.fanout' });
      }
      await channel.call('queue.declare', {
        queue: source,
        arguments: { 'x-dead-letter-exchange': 'amq.fanout', 'x-max-length': 0 },
      });
      await publish(channel, source, ['1']);
      await letters(channel, script, 1);
      await letters(channel, script, 1, 'other');
    },
  },
];

/** A queue `source` whose letters go to the queue `dead`. */
async function mortal(script: Script, args: { readonly [name: string]: Plain } = {}) {
  const channel = await script.open();
  const [source, dead] = [script.name('source'), script.name('dead')];
  await channel.call('queue.declare', { queue: dead });
  const toDead = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
  await channel.call('queue.declare', { queue: source, arguments: { ...toDead, ...args } });
  return { channel, source };
}

async function publish(
  channel: ScriptChannel,
  queue: string,
  bodies: readonly string[],
  properties: {
    messageId?: string;
    contentType?: string;
    deliveryMode?: number;
    expiration?: string;
    priority?: number;
  } = {},
): Promise<void> {
  await channel.call('confirm.select');
  for (const body of bodies) channel.publish({ routingKey: queue, properties, body });
  await channel.confirms(bodies.length);
}
