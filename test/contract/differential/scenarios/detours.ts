import { reached } from '../reached';
import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import { type Plain, typed } from '../values';

/** Ways that a publisher or an exchange adds to a message: copies to more keys (CC, BCC), and alternate exchanges. */

export const detours: Scenario[] = [
  {
    name: 'what no binding matches goes to the alternate exchange',
    async run(script) {
      const channel = await script.open();
      const [queue, other] = [script.name('q'), script.name('other')];
      const [alternate, exchange] = [script.name('ae'), script.name('x')];
      await catchAll(channel, alternate, queue);
      await withAlternate(channel, exchange, alternate);
      await channel.call('queue.declare', { queue: other });
      await channel.call('queue.bind', { queue: other, exchange, routingKey: 'known' });
      for (const routingKey of ['known', 'unknown']) {
        channel.publish({ exchange, routingKey, mandatory: true });
        await reached(channel, [queue, other]);
      }
      await channel.nothing();
    },
  },
  {
    name: 'a message on a detour keeps the exchange and the key it was published with',
    async run(script) {
      const channel = await script.open();
      const [queue, alternate, exchange] = [script.name('q'), script.name('ae'), script.name('x')];
      await catchAll(channel, alternate, queue);
      await withAlternate(channel, exchange, alternate);
      channel.publish({ exchange, routingKey: 'key' });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an alternate exchange may have one of its own',
    async run(script) {
      const channel = await script.open();
      const [queue, last, middle, exchange] = ['q', 'last', 'middle', 'x'].map((base) => script.name(base)) as Four;
      await catchAll(channel, last, queue);
      await withAlternate(channel, middle, last);
      await withAlternate(channel, exchange, middle);
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await reached(channel, [queue]);
      await channel.nothing();
    },
  },
  {
    name: 'an alternate exchange that is not there loses the message',
    async run(script) {
      const channel = await script.open();
      const exchange = script.name('x');
      await withAlternate(channel, exchange, script.name('missing'));
      await channel.call('confirm.select');
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await channel.receive('basic.return');
      await channel.confirms();
      channel.publish({ exchange, routingKey: 'key' });
      await channel.confirms();
      await channel.nothing();
    },
  },
  {
    name: 'an alternate exchange may come later than who names it',
    async run(script) {
      const channel = await script.open();
      const [queue, alternate, exchange] = [script.name('q'), script.name('ae'), script.name('x')];
      await withAlternate(channel, exchange, alternate);
      await catchAll(channel, alternate, queue);
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'the default exchange may be the alternate one',
    async run(script) {
      const channel = await script.open();
      const [queue, exchange] = [script.name('q'), script.name('x')];
      await channel.call('queue.declare', { queue });
      await withAlternate(channel, exchange, '');
      channel.publish({ exchange, routingKey: queue, mandatory: true });
      await channel.nothing();
      await reached(channel, [queue]);
    },
  },
  {
    name: 'alternate exchanges in a circle return what nobody takes',
    async run(script) {
      const channel = await script.open();
      const [one, two] = [script.name('one'), script.name('two')];
      await withAlternate(channel, one, two);
      await withAlternate(channel, two, one);
      channel.publish({ exchange: one, routingKey: 'key', mandatory: true });
      await channel.receive('basic.return');
      await channel.nothing();
    },
  },
  {
    name: 'an exchange that routes to one without queues does not use its alternate',
    async run(script) {
      const channel = await script.open();
      const [queue, alternate, exchange, empty] = ['q', 'ae', 'x', 'empty'].map((base) => script.name(base)) as Four;
      await catchAll(channel, alternate, queue);
      await withAlternate(channel, exchange, alternate);
      await channel.call('exchange.declare', { exchange: empty, type: 'direct' });
      await channel.call('exchange.bind', { destination: empty, source: exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await channel.receive('basic.return');
      await reached(channel, [queue]);
    },
  },
  {
    name: 'an internal exchange may be the alternate one',
    async run(script) {
      const channel = await script.open();
      const [queue, alternate, exchange] = [script.name('q'), script.name('ae'), script.name('x')];
      await channel.call('exchange.declare', { exchange: alternate, type: 'fanout', internal: true });
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange: alternate });
      await withAlternate(channel, exchange, alternate);
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'CC adds keys, and is seen',
    async run(script) {
      const { channel, queues } = await three(script);
      channel.publish({ routingKey: queues[0], properties: { headers: { CC: [queues[1], queues[2]] } } });
      for (const queue of queues) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'BCC adds keys, and is taken out',
    async run(script) {
      const { channel, queues } = await three(script);
      const headers = { before: 1, BCC: [queues[1]], CC: [queues[2]], after: 2 };
      channel.publish({ routingKey: queues[0], properties: { headers, messageId: 'm1' } });
      for (const queue of queues) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'BCC alone leaves an empty table of headers',
    async run(script) {
      const { channel, queues } = await three(script);
      channel.publish({ routingKey: queues[0], properties: { headers: { BCC: [queues[1]] } } });
      for (const queue of queues) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a key that is named twice counts once',
    async run(script) {
      const { channel, queues } = await three(script);
      const headers = { CC: [queues[0], queues[1], queues[1]], BCC: [queues[0]] };
      channel.publish({ routingKey: queues[0], properties: { headers } });
      await reached(channel, queues);
    },
  },
  {
    name: 'a message whose copies alone are routable is not returned',
    async run(script) {
      const { channel, queues } = await three(script);
      channel.publish({ routingKey: 'nowhere', mandatory: true, properties: { headers: { CC: [queues[1]] } } });
      await channel.call('basic.get', { queue: queues[1], noAck: true });
    },
  },
  {
    name: 'a message that neither key nor copies route is returned without BCC',
    async run(script) {
      const { channel } = await three(script);
      const headers = { CC: ['nowhere'], BCC: ['nowhere either'] };
      channel.publish({ routingKey: 'nowhere', mandatory: true, properties: { headers } });
      await channel.receive('basic.return');
    },
  },
  {
    name: 'copies go by the bindings of the exchange',
    async run(script) {
      const { channel, queues } = await three(script);
      const exchange = script.name('x');
      await channel.call('exchange.declare', { exchange, type: 'topic' });
      for (const [index, routingKey] of ['a.*', 'b.#', 'c'].entries()) {
        await channel.call('queue.bind', { queue: queues[index] as string, exchange, routingKey });
      }
      channel.publish({ exchange, routingKey: 'a.1', properties: { headers: { CC: ['b'], BCC: ['d'] } } });
      await reached(channel, queues);
    },
  },
  {
    name: 'copies are seen by exchanges further on',
    async run(script) {
      const { channel, queues } = await three(script);
      const [source, destination] = [script.name('source'), script.name('destination')];
      await channel.call('exchange.declare', { exchange: source, type: 'fanout' });
      await channel.call('exchange.declare', { exchange: destination, type: 'direct' });
      await channel.call('exchange.bind', { source, destination });
      await channel.call('queue.bind', { queue: queues[2], exchange: destination, routingKey: 'copy' });
      channel.publish({ exchange: source, routingKey: 'key', properties: { headers: { CC: ['copy'] } } });
      await reached(channel, queues);
    },
  },
  {
    name: 'lists without keys, and empty keys, add nothing',
    async run(script) {
      const { channel, queues } = await three(script);
      channel.publish({ routingKey: queues[0], properties: { headers: { CC: [], BCC: [''] } } });
      await channel.call('basic.get', { queue: queues[0], noAck: true });
    },
  },
  ...(['CC', 'BCC'] as const).flatMap((header) =>
    [
      { what: 'a text', value: 'key' },
      { what: 'a number', value: 1 },
      { what: 'nothing', value: null },
      { what: 'a table', value: { key: 'value' } },
      { what: 'a truth value', value: true },
      { what: 'a timestamp', value: typed({ type: 'timestamp', value: 1n }) },
      { what: 'a fraction', value: 1.5 },
      { what: 'octets', value: typed({ type: 'binary', value: Buffer.from('key') }) },
    ].map(({ what, value }) => ({
      name: `a ${header} that is ${what} is 406`,
      async run(script: Script) {
        const { channel, queues } = await three(script);
        channel.publish({ routingKey: queues[0], properties: { headers: { [header]: value } } });
        await channel.receive('channel.close');
      },
    })),
  ),
  ...[
    { what: 'a number', value: 1 },
    { what: 'nothing', value: null },
    { what: 'a list', value: ['key'] },
  ].map(({ what, value }) => ({
    name: `${what} among the keys of CC`,
    async run(script: Script) {
      const { channel, queues } = await three(script);
      const keys: Plain[] = [queues[1], value, queues[2]];
      channel.publish({ routingKey: queues[0], properties: { headers: { CC: keys } } });
      await reached(channel, queues);
    },
  })),
  {
    name: 'cc in small letters is a header like any other',
    async run(script) {
      const { channel, queues } = await three(script);
      channel.publish({ routingKey: queues[0], properties: { headers: { cc: [queues[1]], bcc: 'text' } } });
      await reached(channel, queues);
    },
  },
];

type Four = [string, string, string, string];

async function catchAll(channel: ScriptChannel, exchange: string, queue: string): Promise<void> {
  await channel.call('exchange.declare', { exchange, type: 'fanout' });
  await channel.call('queue.declare', { queue });
  await channel.call('queue.bind', { queue, exchange });
}

async function withAlternate(channel: ScriptChannel, exchange: string, alternate: string): Promise<void> {
  const args = { 'alternate-exchange': alternate };
  await channel.call('exchange.declare', { exchange, type: 'direct', arguments: args });
}

async function three(script: Script): Promise<{ channel: ScriptChannel; queues: [string, string, string] }> {
  const channel = await script.open();
  const queues: [string, string, string] = [script.name('one'), script.name('two'), script.name('three')];
  for (const queue of queues) await channel.quietly('queue.declare', { queue });
  return { channel, queues };
}
