import type { Channel, Handlers } from './channel';
import { carryOut, type Settlement } from './channel-basic';
import { encodeMethod, type Properties } from './codec';
import type { Content } from './content';
import { accessRefused, notImplemented, preconditionFailed } from './errors';
import { createMessage, type Message, receiveMessage } from './message';
import type { Queue } from './queue';
import { checkReplyAddress, REPLY_TO } from './reply-address';
import type { Outcome } from './virtual-host';

/** basic.publish, and the modes that make publishing safe: publisher confirms and transactions. */

/** What a transaction holds back until it is committed. */
export interface Transaction {
  publishes: Publish[];
  settlements: Settlement[];
}

interface Publish {
  readonly message: Message;
  readonly mandatory: boolean;
  /** By name where it waits for a commit: until then a queue may go, or another come in its place. */
  readonly queues: readonly string[];
}

export const publishMethods: Handlers = {
  'confirm.select'(channel, { nowait }) {
    if (channel.mode === 'tx') throw preconditionFailed('cannot switch from tx to confirm mode');
    channel.mode = 'confirm';
    if (!nowait) channel.reply('confirm.select-ok', {});
  },

  'tx.select'(channel) {
    if (channel.mode === 'confirm') throw preconditionFailed('cannot switch from confirm to tx mode');
    channel.mode = 'tx';
    channel.reply('tx.select-ok', {});
  },

  'tx.commit'(channel) {
    const { publishes, settlements } = endTransaction(channel);
    let isComplete = true;
    for (const { queues, message, mandatory } of publishes) {
      const there = queues.flatMap((name) => channel.virtualHost.findQueue(name) ?? []);
      if (enqueue(channel, there, message, mandatory) === 'rejected') isComplete = false;
      channel.virtualHost.memory.release(message);
    }
    // Before the messages that the settlements make room for.
    if (isComplete) channel.reply('tx.commit-ok', {});
    for (const run of runs(settlements)) carryOut(channel, run);
    if (!isComplete) throw preconditionFailed('partial tx completion');
  },

  'tx.rollback'(channel) {
    const { publishes, settlements } = endTransaction(channel);
    for (const { message } of publishes) channel.virtualHost.memory.release(message);
    // They are the client's again, to settle once more: back in the order of their tags.
    const held = settlements.map(({ tag, held }) => [tag, held] as const);
    channel.unsettled = new Map([...channel.unsettled, ...held].sort(([a], [b]) => a - b));
    channel.reply('tx.rollback-ok', {});
  },
};

export function publish(channel: Channel, { args, properties, size, body }: Content): void {
  const { virtualHost, connection } = channel;
  if (args.immediate) throw notImplemented('immediate=true');
  if (size > connection.maxMessageBytes) {
    throw preconditionFailed(`message size ${size} is larger than configured max size ${connection.maxMessageBytes}`);
  }
  const exchange = virtualHost.exchange(args.exchange);
  if (exchange.options.internal) {
    throw accessRefused(`cannot publish to internal exchange '${exchange.name}' in vhost '${virtualHost.name}'`);
  }
  const replyTo = replyAddress(channel, properties.decoded);
  const received = receiveMessage(exchange.name, args.routingKey, properties, body, connection.userId);
  const message = replyTo === undefined ? received : addressed(received, replyTo);
  if (exchange.name === '') message.routingKeys.forEach(checkReplyAddress);
  const queues = virtualHost.route(exchange, message);
  if (channel.mode === 'tx') {
    const names = [...queues].map((queue) => queue.name);
    virtualHost.memory.hold(message);
    channel.transaction.publishes.push({ queues: names, message, mandatory: args.mandatory });
    return;
  }
  const outcome = enqueue(channel, queues, message, args.mandatory);
  if (channel.mode === 'confirm') channel.confirm(outcome === 'rejected' ? 'basic.nack' : 'basic.ack');
}

function enqueue(channel: Channel, queues: Iterable<Queue>, message: Message, mandatory: boolean): Outcome {
  const outcome = channel.virtualHost.publish(queues, message);
  // Before the acknowledgement, so that the publisher knows by then.
  if (outcome === 'unroutable' && mandatory) {
    const method = encodeMethod('basic.return', {
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: message.exchange,
      routingKey: message.routingKeys[0],
    });
    channel.sendContent(method, message);
  }
  return outcome;
}

/** That of this channel's reply consumer, for a request that asks for direct replies. */
function replyAddress(channel: Channel, { replyTo }: Properties): string | undefined {
  if (replyTo !== REPLY_TO) return undefined;
  if (channel.replyConsumer === undefined) throw preconditionFailed('fast reply consumer does not exist');
  return channel.replyConsumer.address;
}

function addressed(message: Message, replyTo: string): Message {
  return createMessage(message.exchange, message.routingKeys, { ...message.properties, replyTo }, message.body);
}

/** What a commit settles at once: neighbours of one verdict, in the order of their tags. */
function runs(settlements: readonly Settlement[]): Settlement[][] {
  const all: Settlement[][] = [];
  for (const settlement of settlements) {
    const run = all.at(-1);
    if (run?.[0]?.verdict === settlement.verdict) run.push(settlement);
    else all.push([settlement]);
  }
  return all.map((run) => run.sort((a, b) => a.tag - b.tag));
}

function endTransaction(channel: Channel): Transaction {
  if (channel.mode !== 'tx') throw preconditionFailed('channel is not transactional');
  const { transaction } = channel;
  channel.transaction = { publishes: [], settlements: [] };
  return transaction;
}
