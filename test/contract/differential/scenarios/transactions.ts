import type { Scenario, Script } from '../script';
import type { Publishing, ScriptChannel } from '../script-connection';

/** Transactions: publishes and settlements that count from the commit on, or not at all. */

export const transactions: Scenario[] = [
  {
    name: 'publishes reach their queue with the commit, in their order',
    async run(script) {
      const { channel, queue } = await transactional(script);
      for (const body of ['first', 'second']) channel.publish({ routingKey: queue, body });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a rollback drops publishes, and what follows is a new transaction',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue, body: 'dropped' });
      await channel.call('tx.rollback');
      channel.publish({ routingKey: queue, body: 'kept' });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an empty transaction may be committed and rolled back',
    async run(script) {
      const { channel } = await transactional(script);
      await channel.call('tx.commit');
      await channel.call('tx.rollback');
      await channel.call('tx.commit');
    },
  },
  {
    name: 'a second select changes nothing',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue });
      await channel.call('tx.select');
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a commit without a select is refused',
    async run(script) {
      const channel = await script.open();
      await channel.call('tx.commit');
    },
  },
  {
    name: 'a rollback without a select is refused',
    async run(script) {
      const channel = await script.open();
      await channel.call('tx.rollback');
    },
  },
  {
    name: 'the end of a channel drops publishes that were not committed',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue });
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a channel that is opened again is not transactional',
    async run(script) {
      const { channel } = await transactional(script);
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('tx.commit');
    },
  },
  {
    name: 'a mandatory message without a route comes back with the commit and before its answer',
    async run(script) {
      const { channel } = await transactional(script);
      channel.publish({ routingKey: script.name('nowhere'), mandatory: true });
      await channel.nothing();
      channel.cast('tx.commit');
      await channel.next(2);
    },
  },
  {
    name: 'a mandatory message that is rolled back does not come back',
    async run(script) {
      const { channel } = await transactional(script);
      channel.publish({ routingKey: script.name('nowhere'), mandatory: true });
      await channel.call('tx.rollback');
      await channel.nothing();
    },
  },
  {
    name: 'the way of a message is decided when it is published, not when it is committed',
    async run(script) {
      const { channel, queue } = await transactional(script);
      const exchange = script.name('fanout');
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      channel.publish({ exchange, body: 'before the binding', mandatory: true });
      await channel.call('queue.bind', { queue, exchange });
      channel.publish({ exchange, body: 'while bound', mandatory: true });
      await channel.call('queue.unbind', { queue, exchange });
      channel.cast('tx.commit');
      await channel.next(2);
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an exchange may be deleted between publish and commit',
    async run(script) {
      const { channel, queue } = await transactional(script);
      const exchange = script.name('fanout');
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('queue.bind', { queue, exchange });
      channel.publish({ exchange, mandatory: true });
      await channel.call('exchange.delete', { exchange });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a mandatory message whose queue is deleted before the commit comes back',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue, mandatory: true });
      await channel.call('queue.delete', { queue });
      channel.cast('tx.commit');
      await channel.next(2);
    },
  },
  {
    name: 'a publish to an exchange that is not there closes the channel at once and drops what came before',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue });
      channel.publish({ exchange: script.name('missing'), routingKey: 'key' });
      await channel.next();
      await channel.call('channel.open');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a publish with a wrong user_id closes the channel at once',
    async run(script) {
      const { channel, queue } = await transactional(script);
      channel.publish({ routingKey: queue, properties: { userId: 'admin' } });
      await channel.next();
    },
  },
  {
    name: 'a commit that a full queue refuses in part closes the channel, and all the rest of it counts',
    async run(script) {
      const channel = await script.open();
      const [full, queue] = [script.name('full'), script.name('q')];
      const args = { 'x-max-length': 1, 'x-overflow': 'reject-publish' };
      await channel.call('queue.declare', { queue: full, arguments: args });
      await channel.call('queue.declare', { queue });
      channel.publish({ routingKey: queue, body: 'acknowledged' });
      await channel.call('basic.get', { queue });
      await channel.call('tx.select');
      channel.cast('basic.ack', { deliveryTag: 1 });
      for (const body of ['kept', 'refused']) channel.publish({ routingKey: full, body });
      channel.publish({ routingKey: queue, body: 'beside' });
      channel.cast('tx.commit');
      await channel.next();
      await channel.call('channel.open');
      for (const name of [full, full, queue, queue]) await channel.call('basic.get', { queue: name, noAck: true });
    },
  },
  {
    name: 'an acknowledgement that is not committed is undone by the end of the channel',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' });
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'an acknowledgement that is committed lasts',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' });
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('tx.commit');
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'after a rollback messages may be settled once more',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' }, { body: 'm2' }, { body: 'm3' });
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 2 });
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await channel.call('tx.rollback');
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.call('tx.commit');
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a message settled twice in one transaction closes the channel',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' });
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.next();
      await channel.call('channel.open');
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a requeue takes place with the commit',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' });
      await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'messages requeued one by one are in their old order after the commit',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' }, { body: 'm2' }, { body: 'm3' });
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
      for (const deliveryTag of [2, 3, 1]) channel.cast('basic.reject', { deliveryTag, requeue: true });
      await channel.call('tx.commit');
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'rejected messages die with the commit, in the order of their tags up to a settlement of another kind',
    async run(script) {
      const channel = await script.open();
      const [queue, dead] = [script.name('q'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
      await channel.call('queue.declare', { queue, arguments: args });
      for (let index = 1; index <= 6; index += 1) channel.publish({ routingKey: queue, body: `m${index}` });
      await channel.call('tx.select');
      for (let count = 0; count < 6; count += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 6 });
      channel.cast('basic.reject', { deliveryTag: 4 });
      channel.cast('basic.ack', { deliveryTag: 3 });
      channel.cast('basic.nack', { deliveryTag: 5 });
      channel.cast('basic.nack', { deliveryTag: 2, multiple: true });
      await channel.call('basic.get', { queue: dead });
      await channel.call('tx.commit');
      await channel.call('basic.consume', { queue: dead, consumerTag: 'dead', noAck: true });
      for (let count = 0; count < 5; count += 1) {
        const [delivery] = await channel.deliveries(1);
        script.note(String(delivery?.body));
      }
    },
  },
  {
    name: 'an acknowledgement makes no room for the next delivery before the commit',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' }, { body: 'm2' });
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
      await channel.call('tx.commit');
      await channel.deliveries(1);
    },
  },
  {
    name: 'a consumed message without acknowledgement is no part of the transaction',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('tx.rollback');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an acknowledgement of everything in a transaction leaves out what it has settled before',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' }, { body: 'm2' });
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      channel.cast('basic.ack', { deliveryTag: 0, multiple: true });
      channel.cast('basic.ack', { deliveryTag: 0, multiple: true });
      await channel.call('tx.commit');
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a recover is not held back, and leaves out what the transaction has settled',
    async run(script) {
      const { channel, queue } = await transactional(script, { body: 'm1' }, { body: 'm2' });
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('basic.recover', { requeue: true });
      await channel.call('basic.get', { queue });
      await channel.call('tx.rollback');
      await channel.call('basic.recover', { requeue: true });
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
    },
  },
];

/** A channel in transactions and a queue, which has these messages. */
async function transactional(
  script: Script,
  ...messages: Publishing[]
): Promise<{ channel: ScriptChannel; queue: string }> {
  const channel = await script.open();
  const queue = script.name('q');
  await channel.call('queue.declare', { queue });
  for (const message of messages) channel.publish({ routingKey: queue, ...message });
  await channel.call('tx.select');
  return { channel, queue };
}
