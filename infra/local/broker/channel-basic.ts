import { randomBytes } from 'node:crypto';
import type { Channel, ChannelConsumer, Handlers, Unsettled } from './channel';
import { queueNamed, REPLY_TO } from './channel-queue';
import { encodeMethod } from './codec';
import { AmqpError, accessRefused, notImplemented, preconditionFailed } from './errors';
import { integerOf } from './fields';
import type { Arguments } from './methods';
import type { Entry, Queue } from './queue';
import { integerProblem } from './queue-arguments';
import { generatedName } from './virtual-host';

/** The basic.* methods of those who receive: consume, get, settle. */

/** What becomes of messages that a client settles. */
export type Verdict = 'acked' | 'requeued' | 'rejected';

export interface Settlement {
  readonly tag: number;
  readonly held: Unsettled;
  readonly verdict: Verdict;
}

export const basicMethods: Handlers = {
  'basic.qos'(channel, { prefetchSize, prefetchCount, global }) {
    if (prefetchSize !== 0) throw notImplemented(`prefetch_size!=0 (${prefetchSize})`);
    // RabbitMQ's reading: `global` is the limit of the channel, else it is that of each consumer yet to come.
    if (global) channel.prefetchPerChannel = prefetchCount;
    else channel.prefetchPerConsumer = prefetchCount;
    channel.reply('basic.qos-ok', {});
    channel.dispatch();
  },

  'basic.consume'(channel, args) {
    const consumerTag = args.consumerTag === '' ? generatedName('amq.ctag') : args.consumerTag;
    if (channel.consumers.has(consumerTag) || channel.replyConsumer?.tag === consumerTag) {
      throw new AmqpError(530, `attempt to reuse consumer tag '${consumerTag}'`);
    }
    if (args.queue === REPLY_TO) {
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
    if (consumer !== undefined) {
      channel.consumers.delete(consumerTag);
      // What it holds stays with the channel, which may still settle it.
      consumer.queue.release([consumer], []);
    } else if (channel.replyConsumer?.tag === consumerTag) {
      channel.virtualHost.replyConsumers.delete(channel.replyConsumer.address);
      channel.replyConsumer = undefined;
    }
    if (!nowait) channel.reply('basic.cancel-ok', { consumerTag });
  },

  'basic.get'(channel, { queue: name, noAck }) {
    const queue = queueNamed(channel, name);
    queue.touch();
    const entry = queue.take();
    if (entry === undefined) return channel.reply('basic.get-empty', { clusterId: '' });
    const { message, redelivered } = entry;
    const deliveryTag = channel.hold(noAck, { entry, queue, consumer: undefined });
    const args = {
      deliveryTag: BigInt(deliveryTag),
      redelivered,
      exchange: message.exchange,
      routingKey: message.routingKeys[0],
      messageCount: queue.messageCount,
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
    recover(channel, requeue);
    channel.reply('basic.recover-ok', {});
  },
  'basic.recover-async': (channel, { requeue }) => recover(channel, requeue),
};

/** Carries out verdicts: requeued messages go back to their place, rejected ones to the dead letter exchange. */
export function carryOut(channel: Channel, settlements: readonly Settlement[]): void {
  const byQueue = new Map<Queue, Record<Verdict, Entry[]>>();
  for (const { held, verdict } of settlements) {
    const { consumer, queue, entry } = held;
    if (consumer !== undefined) {
      consumer.unsettled -= 1;
      channel.unsettledByConsumers -= 1;
    }
    let verdicts = byQueue.get(queue);
    if (verdicts === undefined) {
      verdicts = { acked: [], requeued: [], rejected: [] };
      byQueue.set(queue, verdicts);
    }
    verdicts[verdict].push(entry);
  }
  for (const [queue, { requeued, rejected }] of byQueue) {
    queue.discard(rejected);
    queue.requeue(requeued);
  }
  // There is room again: for the queues concerned, or for all that share the channel's prefetch.
  if (channel.prefetchPerChannel > 0) channel.dispatch();
  else for (const queue of byQueue.keys()) queue.dispatch();
}

function settle(channel: Channel, deliveryTag: bigint, multiple: boolean, verdict: Verdict): void {
  const settlements = taken(channel, deliveryTag, multiple, verdict);
  if (channel.mode === 'tx') channel.transaction.settlements.push(...settlements);
  else carryOut(channel, settlements);
}

/** Tag 0 with `multiple` is all there are. */
function taken(channel: Channel, deliveryTag: bigint, multiple: boolean, verdict: Verdict): Settlement[] {
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

function recover(channel: Channel, requeue: boolean): void {
  if (!requeue) throw notImplemented('requeue=false');
  carryOut(channel, taken(channel, 0n, true, 'requeued'));
}

function createConsumer(
  channel: Channel,
  queue: Queue,
  tag: string,
  args: Arguments<'basic.consume'>,
): ChannelConsumer {
  const inVhost = `queue '${queue.name}' in vhost '${channel.virtualHost.name}'`;
  const priority = args.arguments.get('x-priority');
  const problem = priority && integerProblem(priority);
  if (problem) throw preconditionFailed(`invalid arg 'x-priority' for ${inVhost}: ${problem}`);
  const { consumers, settings } = queue;
  const refused = args.exclusive ? consumers.size > 0 || settings.singleActiveConsumer : consumers.exclusive;
  if (refused) throw accessRefused(`${inVhost} in exclusive use`);
  const prefetch = channel.prefetchPerConsumer;
  const consumer: ChannelConsumer = {
    tag,
    queue,
    noAck: args.noAck,
    exclusive: args.exclusive,
    priority: (priority && integerOf(priority)) ?? 0,
    unsettled: 0,
    canTake: () =>
      (args.noAck || ((prefetch === 0 || consumer.unsettled < prefetch) && channel.hasRoom())) &&
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
  if (channel.replyConsumer !== undefined) throw preconditionFailed('reply consumer already set');
  if (!noAck) throw preconditionFailed('reply consumer cannot acknowledge');
  const address = `${REPLY_TO}.${randomBytes(24).toString('base64')}.${randomBytes(16).toString('base64')}`;
  channel.replyConsumer = { tag, address };
  channel.virtualHost.replyConsumers.set(address, channel);
}
