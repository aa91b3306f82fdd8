import type { Channel, Handlers } from './channel';
import { accessRefused, commandInvalid, preconditionFailed } from './errors';
import type { Exchange } from './exchange';
import type { Table } from './fields';
import type { Arguments } from './methods';
import { checkSameArguments, checkSameFlag } from './queue-arguments';
import type { ExchangeType } from './routing';

/** The exchange.* methods. */

const TYPES: ReadonlySet<string> = new Set(['direct', 'fanout', 'topic', 'headers']);

export const exchangeMethods: Handlers = {
  'exchange.declare'(channel, args) {
    const name = entityName(args.exchange);
    if (args.passive) {
      refuseDefault(name);
      channel.virtualHost.exchange(name);
    } else {
      declare(channel, name, args);
    }
    if (!args.nowait) channel.reply('exchange.declare-ok', {});
  },

  'exchange.delete'(channel, { exchange, ifUnused, nowait }) {
    const { virtualHost } = channel;
    const name = entityName(exchange);
    refuseDefault(name);
    if (name.startsWith('amq.')) {
      throw accessRefused(`deletion of system exchange '${name}' in vhost '${virtualHost.name}' not allowed`);
    }
    const found = virtualHost.findExchange(name);
    if (found !== undefined) {
      if (ifUnused && found.outgoing.size > 0) {
        throw preconditionFailed(`exchange '${name}' in vhost '${virtualHost.name}' in use`);
      }
      virtualHost.removeExchange(found);
    }
    if (!nowait) channel.reply('exchange.delete-ok', {});
  },

  'exchange.bind'(channel, args) {
    const { virtualHost } = channel;
    refuseDefault(args.source);
    refuseDefault(args.destination);
    const source = virtualHost.exchange(entityName(args.source));
    const destination = virtualHost.exchange(entityName(args.destination));
    virtualHost.bind(source, destination, args.routingKey, args.arguments);
    if (!args.nowait) channel.reply('exchange.bind-ok', {});
  },

  'exchange.unbind'(channel, args) {
    const { virtualHost } = channel;
    refuseDefault(args.source);
    refuseDefault(args.destination);
    const source = virtualHost.findExchange(entityName(args.source));
    const destination = virtualHost.findExchange(entityName(args.destination));
    if (source !== undefined && destination !== undefined) {
      virtualHost.unbind(source, destination, args.routingKey, args.arguments, channel.connection);
    }
    if (!args.nowait) channel.reply('exchange.unbind-ok', {});
  },
};

/** The default exchange routes to every queue by its name, and nobody may change that. */
export function refuseDefault(exchange: string): void {
  if (exchange === '') throw accessRefused('operation not permitted on the default exchange');
}

/** RabbitMQ drops line breaks from names, where they would forge lines of its log. */
export function entityName(name: string): string {
  return name.replace(/[\r\n]/g, '');
}

export function refuseReserved(kind: 'queue' | 'exchange', name: string): void {
  if (name.startsWith('amq.')) {
    throw accessRefused(`${kind} name '${name}' contains reserved prefix 'amq.*'`);
  }
}

function declare(channel: Channel, name: string, args: Arguments<'exchange.declare'>): void {
  const { virtualHost } = channel;
  const { type, durable, autoDelete, internal } = args;
  if (!TYPES.has(type)) {
    throw commandInvalid(`${type === '' ? 'invalid' : 'unknown'} exchange type '${type}'`);
  }
  refuseDefault(name);
  const found = virtualHost.findExchange(name);
  if (found !== undefined) {
    checkSame(found, args, virtualHost.name);
    return;
  }
  refuseReserved('exchange', name);
  checkArguments(args.arguments, name, virtualHost.name);
  virtualHost.createExchange(name, {
    type: type as ExchangeType,
    durable,
    autoDelete,
    internal,
    arguments: args.arguments,
  });
}

function checkSame(found: Exchange, args: Arguments<'exchange.declare'>, vhost: string): void {
  const subject = `exchange '${found.name}' in vhost '${vhost}'`;
  checkSameFlag('type', args.type, found.options.type, subject);
  checkSameFlag('durable', args.durable, found.options.durable, subject);
  checkSameFlag('auto_delete', args.autoDelete, found.options.autoDelete, subject);
  checkSameFlag('internal', args.internal, found.options.internal, subject);
  checkSameArguments(['alternate-exchange'], args.arguments, found.options.arguments, subject);
}

function checkArguments(args: Table, exchange: string, vhost: string): void {
  const alternate = args.get('alternate-exchange');
  if (alternate !== undefined && alternate.type !== 'longstr') {
    throw preconditionFailed(
      `invalid type '${alternate.type}' for arg 'alternate-exchange' in exchange '${exchange}' in vhost '${vhost}'`,
    );
  }
}
