import type { Channel, ChannelConsumer, Handlers, Unsettled } from './channel';
import { queueNamed } from './channel-queue';
import { encodeMethod } from './codec';
import { DeliveryMethod } from './delivery-method';
import { AmqpError, accessRefused, notImplemented, preconditionFailed } from './errors';
import { integerOf } from './fields';
import type { Arguments } from './methods';
import type { Entry, Queue } from './queue';
import { integerProblem } from './queue-arguments';
import { createReplyAddress, REPLY_TO } from './reply-address';
import { generatedName } from './virtual-host';

/** The basic.* methods of those who receive: consume, get, settle. */

/** What becomes of messages that a client settles. */
export type Verdict = 'acked' | 'requeued' | 'rejected';

export interface Settlement {
  readonly tag: number;
  readonly held: Unsettled;
  readonly verdict: Verdict;
}

/** What is settled of one consumer, or of a queue by those who got from it. */
interface Group {
  readonly queue: Queue;
  readonly consumer: ChannelConsumer | undefined;
  readonly verdict: Verdict;
  readonly entries: Entry[];
}

export const basicMethods: Handlers = {
  'basic.qos'(channel, { prefetchSize, prefetchCount, global }) {
    if (prefetchSize !== 0) throw notImplemented(`prefetch_size!=0 (${prefetchSize})`);
    // RabbitMQ's reading: `global` is the limit of the channel, else it is that of each consumer yet to come, and
    // lifts the channel's.
    channel.prefetchPerChannel = global ? prefetchCount : 0;
    if (!global) channel.prefetchPerConsumer = prefetchCount;
    channel.reply('basic.qos-ok', {});
    channel.dispatch();
  },

  'basic.consume'(channel, args) {
    const consumerTag = args.consumerTag === '' ? generatedName('amq.ctag') : args.consumerTag;
    if (channel.consumers.has(consumerTag)) {
      throw new AmqpError(530, `attempt to reuse consumer tag '${consumerTag}'`);
    }
    if (args.queue === REPLY_TO || (args.queue === '' && channel.lastQueue === REPLY_TO)) {
      consumeReplies(channel, consumerTag, args.noAck);
      if (!args.nowait) channel.reply('basic.consume-ok', { consumerTag });
      return;
    }
    const queue = queueNamed(channel, args.queue);
    const consumer = createConsumer(channel, queue, consumerTag, args);
    channel.consumers.set(consumerTag, consumer);
    // Before the first message: the client learns the tag from this.
    if (!args.nowait) channel.reply('basic.consume-ok', { consumerTag });
    queue.addConsumer(consumer);
  },

  'basic.cancel'(channel, { consumerTag, nowait }) {
    const consumer = channel.consumers.get(consumerTag);
    // Another consumer may have the tag of this one.
    if (channel.replyConsumer?.tag === consumerTag) {
      channel.virtualHost.replyConsumers.delete(channel.replyConsumer.address);
      channel.replyConsumer = undefined;
    } else if (consumer !== undefined) {
      channel.consumers.delete(consumerTag);
      // What it holds stays with the channel, which may still settle it.
      consumer.queue.release([consumer], []);
    }
    if (!nowait) channel.reply('basic.cancel-ok', { consumerTag });
  },

  'basic.get'(channel, { queue: name, noAck }) {
    const queue = queueNamed(channel, name);
    queue.touch();
    if (queue.settings.singleActiveConsumer && !queue.type.getBesideActive) {
      throw new AmqpError(
        405,
        `cannot obtain access to locked queue '${queue.name}' in vhost '${channel.virtualHost.name}'. basic.get operations are not supported by quorum queues with single active consumer`,
      );
    }
    const entry = queue.take();
    if (entry === undefined) return channel.reply('basic.get-empty', { clusterId: '' });
    const message = queue.type.delivered(entry, 'get');
    const deliveryTag = channel.hold(noAck, { entry, queue, consumer: undefined });
    const args = {
      deliveryTag: BigInt(deliveryTag),
      redelivered: entry.returns > 0,
      exchange: message.exchange,
      routingKey: message.routingKeys[0],
      messageCount: queue.type.getCountsExpired && !noAck ? queue.readyCount : queue.messageCount,
    };
    channel.flushConfirms();
    channel.sendContent(encodeMethod('basic.get-ok', args), message);
  },

  'basic.ack': (channel, { deliveryTag, multiple }) => settle(channel, deliveryTag, multiple, 'acked'),
  'basic.nack': (channel, { deliveryTag, multiple, requeue }) =>
    settle(channel, deliveryTag, multiple, requeue ? 'requeued' : 'rejected'),
  'basic.reject': (channel, { deliveryTag, requeue }) =>
    settle(channel, deliveryTag, false, requeue ? 'requeued' : 'rejected'),

  'basic.recover'(channel, { requeue }) {
    recover(channel, requeue, () => channel.reply('basic.recover-ok', {}));
  },
  'basic.recover-async': (channel, { requeue }) => recover(channel, requeue, () => undefined),
};

/**
 * Carries out settlements of one verdict: requeued messages go back to their queue, rejected ones to the dead letter
 * exchange. As in RabbitMQ it goes by queue and consumer, and each has its room again before the next gives back:
 * that decides who gets what.
 */
export function carryOut(channel: Channel, settlements: readonly Settlement[]): void {
  let ofConsumers = 0;
  for (const { queue, consumer, verdict, entries } of grouped(settlements)) {
    if (consumer !== undefined) {
      consumer.unsettled -= entries.length;
      queue.consumers.rejoin(consumer);
      ofConsumers += entries.length;
    }
    if (verdict === 'acked') queue.forget(entries);
    else if (verdict === 'rejected') queue.discard(entries);
    if (verdict === 'requeued') queue.requeue(entries, 'requeued');
    else queue.dispatch();
  }
  channel.unsettledByConsumers -= ofConsumers;
  if (channel.prefetchPerChannel > 0) channel.dispatch();
}

function grouped(settlements: readonly Settlement[]): Group[] {
  const [only] = settlements;
  // One by one is how most are settled, and then there is nothing to sort.
  if (only !== undefined && settlements.length === 1) {
    const { held, verdict } = only;
    return [{ queue: held.queue, consumer: held.consumer, verdict, entries: [held.entry] }];
  }
  const groups = new Map<ChannelConsumer | Queue, Group>();
  for (const { held, verdict } of settlements) {
    const { consumer, queue, entry } = held;
    const group = groups.get(consumer ?? queue);
    if (group === undefined) groups.set(consumer ?? queue, { queue, consumer, verdict, entries: [entry] });
    else group.entries.push(entry);
  }
  return [...groups.values()].sort(byQueueAndTag);
}

function byQueueAndTag(a: Group, b: Group): number {
  const [left, right] =
    a.queue === b.queue ? [a.consumer?.tag ?? '', b.consumer?.tag ?? ''] : [a.queue.name, b.queue.name];
  return left < right ? -1 : 1;
}

function settle(channel: Channel, deliveryTag: bigint, multiple: boolean, verdict: Verdict): void {
  const settlements = takeUnsettled(channel, deliveryTag, multiple, verdict);
  if (channel.mode !== 'tx') carryOut(channel, settlements);
  // One by one: there may be more than a call takes arguments.
  else for (const settlement of settlements) channel.transaction.settlements.push(settlement);
}

/** Tag 0 with `multiple` is all there are. */
function takeUnsettled(channel: Channel, deliveryTag: bigint, multiple: boolean, verdict: Verdict): Settlement[] {
  const last = Number(deliveryTag);
  const all = multiple && last === 0;
  const exact = channel.unsettled.get(last);
  if (exact === undefined && !all) throw preconditionFailed(`unknown delivery tag ${deliveryTag}`);
  const settlements: Settlement[] = [];
  if (!multiple && exact !== undefined) {
    settlements.push({ tag: last, held: exact, verdict });
  } else {
    for (const [tag, held] of channel.unsettled) {
      if (!all && tag > last) break;
      settlements.push({ tag, held, verdict });
    }
  }
  for (const { tag } of settlements) channel.unsettled.delete(tag);
  return settlements;
}

/** The answer comes before what is delivered again. */
function recover(channel: Channel, requeue: boolean, answer: () => void): void {
  if (!requeue) throw notImplemented('requeue=false');
  answer();
  carryOut(channel, takeUnsettled(channel, 0n, true, 'requeued'));
}

function createConsumer(
  channel: Channel,
  queue: Queue,
  tag: string,
  args: Arguments<'basic.consume'>,
): ChannelConsumer {
  const inVhost = `queue '${queue.name}' in vhost '${channel.virtualHost.name}'`;
  const { consumers, settings, type } = queue;
  for (const name of args.arguments.keys()) {
    if (type.refusedConsumerArguments.includes(name)) {
      throw preconditionFailed(`invalid arg '${name}' for ${inVhost} of queue type ${type.module}`);
    }
  }
  const priority = args.arguments.get('x-priority');
  const problem = priority && integerProblem(priority);
  if (problem) throw preconditionFailed(`invalid arg 'x-priority' for ${inVhost}: ${problem}`);
  const cancelled = args.arguments.get('x-cancel-on-ha-failover');
  if (cancelled !== undefined && cancelled.type !== 'bool') {
    throw preconditionFailed(
      `invalid arg 'x-cancel-on-ha-failover' for ${inVhost}: {unacceptable_type,${cancelled.type}}`,
    );
  }
  if (channel.prefetchPerChannel > 0 && !type.channelPrefetch) {
    throw notImplemented(`${inVhost} does not support global qos`);
  }
  const refused = args.exclusive ? consumers.size > 0 || settings.singleActiveConsumer : consumers.exclusive;
  if (refused && type.exclusiveConsumers) throw accessRefused(`${inVhost} in exclusive use`);
  const prefetch = channel.prefetchPerConsumer;
  const consumer: ChannelConsumer = {
    tag,
    queue,
    noAck: args.noAck,
    method: new DeliveryMethod(tag),
    exclusive: args.exclusive,
    priority: (priority && integerOf(priority)) ?? 0,
    unsettled: 0,
    canTake: () =>
      (args.noAck ||
        ((prefetch === 0 || consumer.unsettled < prefetch) && (!type.channelPrefetch || channel.hasRoom()))) &&
      channel.connection.canDeliver(),
    deliver: (_queue, entry) => channel.deliver(consumer, entry),
    cancelled() {
      channel.consumers.delete(tag);
      if (channel.connection.takesCancel) channel.reply('basic.cancel', { consumerTag: tag, nowait: true });
    },
  };
  return consumer;
}

/** Direct reply-to: requests that this channel publishes get an address, and what is sent there comes straight here. */
function consumeReplies(channel: Channel, tag: string, noAck: boolean): void {
  if (!noAck) throw preconditionFailed('reply consumer cannot acknowledge');
  if (channel.replyConsumer !== undefined) throw preconditionFailed('reply consumer already set');
  const address = createReplyAddress();
  channel.replyConsumer = { tag, address, method: new DeliveryMethod(tag) };
  channel.virtualHost.replyConsumers.set(address, channel);
}
