import { reached } from '../reached';
import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import { type Plain, typed } from '../values';

/** Which queues a message reaches, by the type of its exchange. */

export const routing: Scenario[] = [
  {
    name: 'the default exchange routes to the queue named by the key',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      channel.publish({ routingKey: queue });
      await channel.call('basic.get', { queue, noAck: true });
      channel.publish({ routingKey: `${queue}x`, mandatory: true });
      await channel.receive('basic.return');
    },
  },
  {
    name: 'a direct exchange takes the exact key',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'direct', ['a.b', 'a.*', 'A.B', '', '#']);
      for (const routingKey of ['a.b', 'a.*', '', 'a', '#']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a fanout exchange takes any key',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'fanout', ['a', 'b']);
      for (const routingKey of ['a', '', 'whatever']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a topic exchange takes * for one word',
    async run(script) {
      const patterns = ['*', '*.*', 'a.*', '*.b', 'a.*.c', '*.*.*', 'a*', '*.'];
      const { channel, exchange, queues } = await bound(script, 'topic', patterns);
      for (const routingKey of ['', 'a', 'a.b', 'x.b', 'a.b.c', '.', 'a.', '.b', 'a..c', '*', 'ab']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a topic exchange takes # for any number of words',
    async run(script) {
      const patterns = ['#', 'a.#', '#.c', 'a.#.c', '#.b.#', '#.#', '#.*', '*.#', '*.#.*', 'a.#.#.c'];
      const { channel, exchange, queues } = await bound(script, 'topic', patterns);
      for (const routingKey of ['', 'a', 'c', 'a.c', 'a.b.c', 'a.b.b.c', 'b', '.', '#', '#.#', 'x.y.z']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a topic exchange without wildcards takes the exact key',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'topic', ['a.b', 'A.B', '', 'a', '.']);
      for (const routingKey of ['a.b', 'a.b.', '', 'a', '.', 'A.b']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'of patterns that overlap, one unbound leaves the others',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'topic', ['a.#', 'a.b.*', 'a.*.c', 'a.b.c']);
      for (const [index, routingKey] of [
        [0, 'a.#'],
        [2, 'a.*.c'],
      ] as const) {
        await channel.call('queue.unbind', { queue: queues[index] as string, exchange, routingKey });
        channel.publish({ exchange, routingKey: 'a.b.c' });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a queue gets a message once, however many of its patterns match',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'topic', ['a.#']);
      for (const routingKey of ['#', '*.b', 'a.b']) {
        await channel.call('queue.bind', { queue: queues[0] as string, exchange, routingKey });
      }
      channel.publish({ exchange, routingKey: 'a.b' });
      await reached(channel, queues);
    },
  },
  ...[
    { name: 'all unless it is said', mode: undefined },
    { name: 'all of the arguments', mode: 'all' },
    { name: 'any of the arguments', mode: 'any' },
    { name: 'all of the arguments, x- as well', mode: 'all-with-x' },
    { name: 'any of the arguments, x- as well', mode: 'any-with-x' },
  ].map(({ name, mode }) => ({
    name: `a headers exchange asks for ${name}`,
    ...(mode?.endsWith('with-x')
      ? { follows: '3.10: all-with-x and any-with-x are known since 3.10; before, x-match is 406' }
      : {}),
    async run(script: Script) {
      const match: Record<string, Plain> = mode === undefined ? {} : { 'x-match': mode };
      const { channel, exchange, queues } = await boundByHeaders(script, {
        two: { ...match, a: 1, b: 'two' },
        x: { ...match, a: 1, 'x-c': 3 },
        none: match,
      });
      for (const headers of [{}, { a: 1 }, { a: 1, b: 'two' }, { a: 2, b: 'two' }, { a: 1, 'x-c': 3 }, { 'x-c': 3 }]) {
        channel.publish({ exchange, properties: { headers } });
        await reached(channel, queues);
      }
    },
  })),
  {
    name: 'a message without headers matches who asks for none',
    async run(script) {
      const { channel, exchange, queues } = await boundByHeaders(script, {
        one: { a: 1 },
        none: {},
        any: { 'x-match': 'any' },
      });
      channel.publish({ exchange });
      await reached(channel, queues);
    },
  },
  {
    name: 'a header that is asked for without a value need only be there',
    async run(script) {
      const { channel, exchange, queues } = await boundByHeaders(script, { there: { a: null }, value: { a: 'b' } });
      for (const headers of [{ a: 'b' }, { a: null }, { a: 7 }, { b: 1 }]) {
        channel.publish({ exchange, properties: { headers } });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'headers are compared by value whatever the width of a number, but inside of lists and tables',
    async run(script) {
      const { channel, exchange, queues } = await boundByHeaders(script, {
        byte: { a: typed({ type: 'byte', value: 1 }) },
        long: { a: typed({ type: 'long', value: 1n }) },
        double: { a: typed({ type: 'double', value: 1 }) },
        bool: { a: true },
        text: { a: '1' },
        timestamp: { a: typed({ type: 'timestamp', value: 1n }) },
        list: { a: [1] },
        table: { a: { b: 1, c: 2 } },
      });
      const values: Plain[] = [
        1,
        typed({ type: 'unsignedshort', value: 1 }),
        typed({ type: 'double', value: 1 }),
        typed({ type: 'float', value: 1 }),
        true,
        '1',
        typed({ type: 'binary', value: Buffer.from('1') }),
        typed({ type: 'timestamp', value: 1n }),
        [1],
        [typed({ type: 'byte', value: 1 })],
        { b: 1, c: 2 },
        { c: 2, b: 1 },
        { b: typed({ type: 'byte', value: 1 }), c: 2 },
        null,
      ];
      for (const a of values) {
        channel.publish({ exchange, properties: { headers: { a } } });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'headers are compared digit by digit and octet by octet',
    async run(script) {
      const long = (value: bigint) => typed({ type: 'long', value });
      const { channel, exchange, queues } = await boundByHeaders(script, {
        number: { a: long(2n ** 53n) },
        text: { a: 'é' },
        octet: { a: typed({ type: 'longstr', value: Buffer.from([0xe9]) }) },
      });
      const values: Plain[] = [
        long(2n ** 53n),
        long(2n ** 53n + 1n),
        'é',
        typed({ type: 'binary', value: Buffer.from('é') }),
        typed({ type: 'binary', value: Buffer.from([0xe9]) }),
      ];
      for (const a of values) {
        channel.publish({ exchange, properties: { headers: { a } } });
        await reached(channel, queues);
      }
    },
  },
  {
    name: 'a headers exchange takes any key',
    async run(script) {
      const { channel, exchange, queues } = await boundByHeaders(script, { one: { a: 1 } });
      channel.publish({ exchange, routingKey: 'whatever', properties: { headers: { a: 1 } } });
      await reached(channel, queues);
    },
  },
  ...[
    { name: 'an unknown word', value: 'some' },
    { name: 'a number', value: 1 },
    { name: 'a truth value', value: true },
    { name: 'nothing', value: null },
    { name: 'a list', value: ['all'] },
  ].map(({ name, value }) => ({
    name: `an x-match that is ${name}`,
    async run(script: Script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange: 'amq.headers', arguments: { 'x-match': value, a: 1 } });
    },
  })),
  {
    name: 'an x-match that means nothing is refused by no other type',
    async run(script) {
      const { channel, exchange, queues } = await bound(script, 'fanout', []);
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange, arguments: { 'x-match': 'some' } });
      channel.publish({ exchange });
      await reached(channel, [...queues, queue]);
    },
  },
];

interface Bound {
  channel: ScriptChannel;
  exchange: string;
  /** Each named after what it is bound with. */
  queues: string[];
}

async function bound(script: Script, type: string, keys: readonly string[]): Promise<Bound> {
  const channel = await script.open();
  const exchange = script.name('x');
  await channel.call('exchange.declare', { exchange, type });
  const queues: string[] = [];
  for (const routingKey of keys) {
    const queue = script.name(`'${routingKey}'`);
    queues.push(queue);
    await channel.quietly('queue.declare', { queue });
    await channel.call('queue.bind', { queue, exchange, routingKey });
  }
  return { channel, exchange, queues };
}

async function boundByHeaders(
  script: Script,
  bindings: { readonly [name: string]: { readonly [name: string]: Plain } },
): Promise<Bound> {
  const channel = await script.open();
  const exchange = script.name('x');
  await channel.call('exchange.declare', { exchange, type: 'headers' });
  const queues: string[] = [];
  for (const [name, args] of Object.entries(bindings)) {
    const queue = script.name(name);
    queues.push(queue);
    await channel.quietly('queue.declare', { queue });
    await channel.call('queue.bind', { queue, exchange, arguments: args });
  }
  return { channel, exchange, queues };
}
