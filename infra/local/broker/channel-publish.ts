import type { Channel, Handlers } from './channel';
import { carryOut, type Settlement } from './channel-basic';
import { entityName } from './channel-exchange';
import { REPLY_TO } from './channel-queue';
import { encodeMethod } from './codec';
import type { Content } from './content';
import { accessRefused, notImplemented, preconditionFailed } from './errors';
import type { Exchange } from './exchange';
import { createMessage, type Message, receiveMessage } from './message';
import type { Outcome } from './virtual-host';

/** basic.publish, and the modes that make publishing safe: publisher confirms and transactions. */

/** What a transaction holds back until it is committed. */
export interface Transaction {
  publishes: Publish[];
  settlements: Settlement[];
}

interface Publish {
  readonly exchange: Exchange;
  readonly message: Message;
  readonly mandatory: boolean;
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
    for (const publishing of publishes) route(channel, publishing);
    carryOut(channel, settlements);
    channel.reply('tx.commit-ok', {});
  },

  'tx.rollback'(channel) {
    const { settlements } = endTransaction(channel);
    // They are the client's again, to settle once more: back in the order of their tags.
    const held = settlements.map(({ tag, held }) => [tag, held] as const);
    channel.unsettled = new Map([...channel.unsettled, ...held].sort(([a], [b]) => a - b));
    channel.reply('tx.rollback-ok', {});
  },
};

export function publish(channel: Channel, { args, header, size, body }: Content): void {
  const { virtualHost, connection } = channel;
  if (args.immediate) throw notImplemented('immediate=true');
  if (size > connection.maxMessageBytes) {
    throw preconditionFailed(`message size ${size} is larger than configured max size ${connection.maxMessageBytes}`);
  }
  const exchange = virtualHost.exchange(entityName(args.exchange));
  if (exchange.options.internal) {
    throw accessRefused(`cannot publish to internal exchange '${exchange.name}' in vhost '${virtualHost.name}'`);
  }
  const received = receiveMessage(exchange.name, args.routingKey, header, body, connection.userId);
  const publishing = { exchange, message: addressed(channel, received), mandatory: args.mandatory };
  if (channel.mode === 'tx') {
    channel.transaction.publishes.push(publishing);
    return;
  }
  const outcome = route(channel, publishing);
  if (channel.mode === 'confirm') channel.confirm(outcome === 'rejected' ? 'basic.nack' : 'basic.ack');
}

function route(channel: Channel, { exchange, message, mandatory }: Publish): Outcome {
  const outcome = channel.virtualHost.publish(exchange, message);
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

/** A request that asks for direct replies carries the address of this channel's reply consumer. */
function addressed(channel: Channel, message: Message): Message {
  if (message.properties.replyTo !== REPLY_TO) return message;
  const replyTo = channel.replyConsumer?.address;
  if (replyTo === undefined) throw preconditionFailed('fast reply consumer does not exist');
  return createMessage(message.exchange, message.routingKeys, { ...message.properties, replyTo }, message.body);
}

function endTransaction(channel: Channel): Transaction {
  if (channel.mode !== 'tx') throw preconditionFailed('channel is not transactional');
  const { transaction } = channel;
  channel.transaction = { publishes: [], settlements: [] };
  return transaction;
}
