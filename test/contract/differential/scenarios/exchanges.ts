import { reached } from '../reached';
import type { Scenario, Script } from '../script';
import { typed } from '../values';

/** How exchanges come and go, and what is refused. Which messages they route where is in routing.ts. */

export const exchanges: Scenario[] = [
  ...['direct', 'fanout', 'topic', 'headers'].map((type) => ({
    name: `an exchange of type ${type} is declared, found, and deleted`,
    async run(script: Script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type, durable: true });
      await channel.call('exchange.declare', { exchange, type, durable: true });
      await channel.call('exchange.declare', { exchange, passive: true });
      await channel.call('exchange.delete', { exchange });
      await channel.call('exchange.declare', { exchange, passive: true });
    },
  })),
  ...['', 'Direct', 'x-unknown', 'direct '].map((type) => ({
    name: `an exchange of type '${type}' ends the connection with 503`,
    async run(script: Script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: script.name('x'), type });
      await channel.connection.hungUp();
    },
  })),
  {
    name: 'an unknown type is refused even where the exchange is there',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: 'amq.direct', type: 'x-unknown', durable: true });
    },
  },
  {
    name: 'a passive declare looks at the name alone',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('exchange.declare', {
        exchange,
        type: 'unknown',
        passive: true,
        durable: true,
        internal: true,
      });
    },
  },
  {
    name: 'a passive declare of an exchange that is not there is 404',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: script.name('x'), type: 'direct', passive: true });
    },
  },
  ...[
    { name: 'of another type', type: 'fanout' },
    { name: 'as durable', durable: true },
    { name: 'as auto-delete', autoDelete: true },
    { name: 'as internal', internal: true },
    { name: 'with an alternate exchange', arguments: { 'alternate-exchange': 'amq.fanout' } },
    {
      name: 'with an alternate exchange that is a decimal',
      arguments: { 'alternate-exchange': typed({ type: 'decimal', value: { places: 1, digits: 10 } }) },
    },
    { name: 'with an argument that means nothing', arguments: { 'x-whatever': 1 } },
  ].map(({ name, ...changed }) => ({
    name: `an exchange declared again ${name}`,
    async run(script: Script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('exchange.declare', { exchange, type: 'direct', ...changed });
    },
  })),
  {
    name: 'an exchange declared again with another alternate exchange is 406',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await declareWithAlternate(channel, exchange, 'amq.fanout');
      await declareWithAlternate(channel, exchange, 'amq.fanout');
      await declareWithAlternate(channel, exchange, 'amq.topic');
    },
  },
  {
    name: 'an exchange declared again without its alternate exchange is 406',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await declareWithAlternate(channel, exchange, 'amq.fanout');
      await channel.call('exchange.declare', { exchange, type: 'direct' });
    },
  },
  ...[
    { name: 'a number', value: 1 },
    { name: 'a truth value', value: true },
    { name: 'a list', value: ['amq.fanout'] },
    { name: 'a table', value: { name: 'amq.fanout' } },
    { name: 'nothing', value: null },
  ].map(({ name, value }) => ({
    name: `an alternate exchange that is ${name}`,
    async run(script: Script) {
      const channel = await script.open();
      const args = { 'alternate-exchange': value };
      await channel.call('exchange.declare', { exchange: script.name('x'), type: 'direct', arguments: args });
    },
  })),
  {
    name: 'names that begin with amq. are reserved',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: 'amq.mine', type: 'direct' });
    },
  },
  {
    name: 'the exchanges that are always there',
    async run(script) {
      const channel = await script.open();
      for (const type of ['direct', 'fanout', 'topic', 'headers']) {
        await channel.call('exchange.declare', { exchange: `amq.${type}`, type, durable: true });
      }
      await channel.call('exchange.declare', { exchange: 'amq.match', type: 'headers', durable: true });
      const trace = { exchange: 'amq.rabbitmq.trace', type: 'topic', durable: true, internal: true };
      await channel.call('exchange.declare', trace);
    },
  },
  {
    name: 'amq.direct is not to be had of another kind',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: 'amq.direct', type: 'fanout', durable: true });
    },
  },
  {
    name: 'nobody publishes to amq.rabbitmq.trace',
    async run(script) {
      const channel = await script.open();
      channel.publish({ exchange: 'amq.rabbitmq.trace' });
      await channel.receive('channel.close');
    },
  },
  ...['amq.direct', 'amq.unknown', ''].map((exchange) => ({
    name: `to delete the exchange '${exchange}' is refused`,
    async run(script: Script) {
      const channel = await script.open();
      await channel.call('exchange.delete', { exchange });
    },
  })),
  {
    name: 'the default exchange is not declared',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: '', type: 'direct', durable: true });
    },
  },
  {
    name: 'the default exchange is not looked for',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: '', type: 'direct', passive: true });
    },
  },
  {
    name: 'to delete an exchange that is not there is fine',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.delete', { exchange: script.name('x') });
      await channel.call('exchange.delete', { exchange: script.name('x'), ifUnused: true });
    },
  },
  {
    name: 'an exchange with bindings is not deleted if-unused',
    async run(script) {
      const channel = await script.open();
      const [exchange, queue] = [script.name('x'), script.name('q')];
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      await channel.call('exchange.delete', { exchange, ifUnused: true });
    },
  },
  {
    name: 'an exchange that others are bound to, and that binds none, is deleted if-unused',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('exchange.bind', { destination: exchange, source: 'amq.fanout' });
      await channel.call('exchange.delete', { exchange, ifUnused: true });
    },
  },
  {
    name: 'with an exchange go its bindings',
    async run(script) {
      const channel = await script.open();
      const [exchange, queue] = [script.name('x'), script.name('q')];
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange });
      await channel.call('exchange.delete', { exchange });
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      channel.publish({ exchange });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'a publish to an exchange that is not there is 404',
    async run(script) {
      const channel = await script.open();
      channel.publish({ exchange: script.name('x') });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'a publish to an exchange that was deleted is 404',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('exchange.delete', { exchange });
      channel.publish({ exchange });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'a publish to an internal exchange is refused with 403',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'fanout', internal: true });
      channel.publish({ exchange });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'line breaks are dropped from the name that is declared, and from no other',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange: `${exchange}\r\n`, type: 'fanout' });
      await channel.call('exchange.declare', { exchange, passive: true });
      channel.publish({ exchange: `${exchange}\n` });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'a name may have 127 octets and more, and any character',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name(` ö€/*#.'"${'n'.repeat(200)}`);
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await channel.call('exchange.declare', { exchange, passive: true });
    },
  },
  {
    name: 'a reply text that is too long is cut',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: script.name('n'.repeat(240)), passive: true });
    },
  },
  {
    name: 'an auto-delete exchange goes with the last thing bound to it',
    async run(script) {
      const channel = await script.open();
      const [exchange, queue] = [script.name('x'), script.name('q')];
      await channel.call('exchange.declare', { exchange, type: 'direct', autoDelete: true });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'a' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'b' });
      await channel.call('queue.unbind', { queue, exchange, routingKey: 'a' });
      await channel.call('exchange.declare', { exchange, passive: true });
      await channel.call('queue.unbind', { queue, exchange, routingKey: 'b' });
      await channel.call('exchange.declare', { exchange, passive: true });
    },
  },
  {
    name: 'an auto-delete exchange goes with the queue that it routed to',
    async run(script) {
      const channel = await script.open();
      const [exchange, queue] = [script.name('x'), script.name('q')];
      await channel.call('exchange.declare', { exchange, type: 'fanout', autoDelete: true });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange });
      await channel.call('queue.delete', { queue });
      await channel.call('exchange.declare', { exchange, passive: true });
    },
  },
  {
    name: 'an auto-delete exchange that nothing was ever bound to stays',
    async run(script) {
      const channel = await script.open();
      const [exchange, queue] = [script.name('x'), script.name('q')];
      await channel.call('exchange.declare', { exchange, type: 'fanout', autoDelete: true });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.unbind', { queue, exchange });
      await channel.call('exchange.declare', { exchange, passive: true });
    },
  },
  {
    name: 'auto-delete exchanges go one after the other along their bindings',
    async run(script) {
      const channel = await script.open();
      const [first, second, queue] = [script.name('first'), script.name('second'), script.name('q')];
      for (const exchange of [first, second]) {
        await channel.call('exchange.declare', { exchange, type: 'fanout', autoDelete: true });
      }
      await channel.call('queue.declare', { queue });
      await channel.call('exchange.bind', { destination: second, source: first });
      await channel.call('queue.bind', { queue, exchange: second });
      await channel.call('queue.delete', { queue });
      for (const exchange of [second, first]) {
        await channel.call('exchange.declare', { exchange, passive: true });
        await channel.call('channel.open');
      }
    },
  },
];

async function declareWithAlternate(
  channel: Awaited<ReturnType<Script['open']>>,
  exchange: string,
  alternate: string,
): Promise<void> {
  const args = { 'alternate-exchange': alternate };
  await channel.call('exchange.declare', { exchange, type: 'direct', arguments: args });
}
