import type { Channel, Handlers } from './channel';
import { entityName, refuseDefault, refuseReserved } from './channel-exchange';
import { AmqpError, notFound, notImplemented, preconditionFailed, resourceLocked } from './errors';
import type { Arguments } from './methods';
import type { Queue } from './queue';
import { checkQueueArguments, checkSameFlag, checkSameQueueArguments, queueType } from './queue-arguments';
import { checkReplyAddress, isReplyAddress, REPLY_TO } from './reply-address';
import { generatedName } from './virtual-host';

/** The queue.* methods. */

export const queueMethods: Handlers = {
  'queue.declare'(channel, args) {
    const { virtualHost, connection } = channel;
    const name = entityName(args.queue);
    if (name === REPLY_TO || isReplyAddress(name)) {
      checkReplyAddress(name);
      if (name !== REPLY_TO && !virtualHost.replyConsumers.has(name)) {
        throw notFound('queue', name, virtualHost.name);
      }
      return answerDeclare(channel, args, name, 0, 1);
    }
    const queue = args.passive ? virtualHost.queue(name, connection) : declare(channel, name, args);
    queue.touch();
    answerDeclare(channel, args, queue.name, queue.messageCount, queue.consumers.size);
  },

  'queue.bind'(channel, args) {
    const { virtualHost } = channel;
    const { queueName, routingKey } = bindingOf(channel, args);
    refuseDefault(args.exchange);
    const exchange = virtualHost.exchange(entityName(args.exchange));
    const queue = virtualHost.queue(queueName, channel.connection);
    virtualHost.bind(exchange, queue, routingKey, args.arguments);
    if (!args.nowait) channel.reply('queue.bind-ok', {});
  },

  'queue.unbind'(channel, args) {
    const { virtualHost, connection } = channel;
    const { queueName, routingKey } = bindingOf(channel, args);
    refuseDefault(args.exchange);
    const exchange = virtualHost.findExchange(entityName(args.exchange));
    const queue = virtualHost.findQueue(queueName);
    if (exchange !== undefined && queue !== undefined) {
      virtualHost.unbind(exchange, queue, routingKey, args.arguments, connection);
    }
    channel.reply('queue.unbind-ok', {});
  },

  'queue.purge'(channel, { queue, nowait }) {
    const messageCount = queueNamed(channel, queue).purge();
    if (!nowait) channel.reply('queue.purge-ok', { messageCount });
  },

  'queue.delete'(channel, { queue, ifUnused, ifEmpty, nowait }) {
    const { virtualHost, connection } = channel;
    const found = virtualHost.findQueue(queueNameOf(channel, queue));
    let messageCount = 0;
    if (found !== undefined) {
      virtualHost.checkAccess(found, connection);
      const subject = `queue '${found.name}' in vhost '${virtualHost.name}'`;
      refuseConditions(subject, found, { 'if-unused': ifUnused, 'if-empty': ifEmpty });
      messageCount = found.messageCount;
      if (ifUnused && found.consumers.size > 0) throw preconditionFailed(`${subject} in use`);
      if (ifEmpty && messageCount > 0) throw preconditionFailed(`${subject} not empty`);
    }
    // Before the consumers hear of it.
    if (!nowait) channel.reply('queue.delete-ok', { messageCount });
    if (found !== undefined) virtualHost.removeQueue(found);
  },
};

function refuseConditions(subject: string, { type }: Queue, conditions: Record<string, boolean>): void {
  const [condition] = Object.keys(conditions).filter((name) => conditions[name]);
  if (condition === undefined || type.conditionalDelete) return;
  throw notImplemented(
    `cannot delete ${subject}. queue.delete operations with ${condition} flag set are not supported by ${type.name} queues`,
  );
}

/**
 * The queue a method names; the empty name is the one that the channel declared last. Line ends are part of the name
 * here.
 */
export function queueNamed(channel: Channel, name: string): Queue {
  return channel.virtualHost.queue(lastIfEmpty(channel, name), channel.connection);
}

function declare(channel: Channel, name: string, args: Arguments<'queue.declare'>): Queue {
  const { virtualHost, connection } = channel;
  refuseReserved('queue', name);
  // An exclusive queue ends with its connection: RabbitMQ takes a declared durability for nothing there.
  const durable = args.durable && !args.exclusive;
  const found = virtualHost.findQueue(name);
  if (found !== undefined) {
    const owner = args.exclusive ? connection : undefined;
    if (found.options.owner !== owner) throw resourceLocked(name, virtualHost.name);
    const subject = `queue '${name}' in vhost '${virtualHost.name}'`;
    checkSameFlag('durable', durable, found.options.durable, subject);
    checkSameFlag('auto_delete', args.autoDelete, found.options.autoDelete, subject);
    checkSameQueueArguments(args.arguments, found.options.arguments, name, virtualHost.name);
    return found;
  }
  const type = queueType(args.arguments);
  if (name === '' && !type.temporary) {
    throw preconditionFailed(`Cannot declare a server-named queue for type ${type.module}`);
  }
  const created = name === '' ? generatedName('amq.gen') : name;
  checkQueueArguments(args.arguments, created, virtualHost.name);
  checkDuration(args, created, virtualHost.name);
  return virtualHost.createQueue(created, {
    durable,
    autoDelete: args.autoDelete,
    arguments: args.arguments,
    owner: args.exclusive ? connection : undefined,
  });
}

/** Queues of some types are there to stay. */
function checkDuration(args: Arguments<'queue.declare'>, name: string, vhost: string): void {
  if (queueType(args.arguments).temporary) return;
  const refused = (property: string) =>
    preconditionFailed(`invalid property '${property}' for queue '${name}' in vhost '${vhost}'`);
  if (args.autoDelete) throw refused('auto-delete');
  if (args.exclusive) throw refused('exclusive-owner');
  if (!args.durable) throw refused('non-durable');
}

function answerDeclare(
  channel: Channel,
  { nowait }: Arguments<'queue.declare'>,
  queue: string,
  messageCount: number,
  consumerCount: number,
): void {
  channel.lastQueue = queue;
  if (!nowait) channel.reply('queue.declare-ok', { queue, messageCount, consumerCount });
}

/** With neither queue nor key named, the key is the queue's name. */
function bindingOf(
  channel: Channel,
  { queue, routingKey }: { queue: string; routingKey: string },
): { queueName: string; routingKey: string } {
  const queueName = queueNameOf(channel, queue);
  return { queueName, routingKey: queue === '' && routingKey === '' ? queueName : routingKey };
}

function queueNameOf(channel: Channel, name: string): string {
  return lastIfEmpty(channel, entityName(name));
}

function lastIfEmpty(channel: Channel, name: string): string {
  if (name !== '') return name;
  if (channel.lastQueue === undefined) throw new AmqpError(404, 'no previously declared queue');
  return channel.lastQueue;
}
