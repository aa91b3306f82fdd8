import { reached } from '../reached';
import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';

/** Names of queues, exchanges and keys with characters that are seldom used, and what error texts make of them. */

export const names: Scenario[] = [
  {
    name: 'line breaks are dropped from the names of a declare, passive or not',
    async run(script) {
      const channel = await script.open();
      const [queue, exchange] = [script.name('q'), script.name('x')];
      await channel.call('queue.declare', { queue: `\r${queue}\n` });
      await channel.call('queue.declare', { queue: `${queue}\r\n`, passive: true });
      await channel.call('exchange.declare', { exchange: `\n${exchange}`, type: 'fanout' });
      await channel.call('exchange.declare', { exchange: `${exchange}\n\n`, passive: true });
    },
  },
  ...[
    {
      method: 'queue.bind',
      call: (c: ScriptChannel, q: string, x: string) => c.call('queue.bind', { queue: q, exchange: x }),
    },
    {
      method: 'queue.unbind',
      call: (c: ScriptChannel, q: string, x: string) => c.call('queue.unbind', { queue: q, exchange: x }),
    },
    {
      method: 'exchange.bind',
      call: (c: ScriptChannel, _q: string, x: string) => c.call('exchange.bind', { destination: x, source: x }),
    },
    {
      method: 'exchange.unbind',
      call: (c: ScriptChannel, _q: string, x: string) => c.call('exchange.unbind', { destination: x, source: x }),
    },
    {
      method: 'basic.consume',
      call: (c: ScriptChannel, q: string) => c.call('basic.consume', { queue: q, consumerTag: 'ctag\n' }),
    },
    { method: 'basic.get', call: (c: ScriptChannel, q: string) => c.call('basic.get', { queue: q }) },
    { method: 'queue.purge', call: (c: ScriptChannel, q: string) => c.call('queue.purge', { queue: q }) },
    { method: 'queue.delete', call: (c: ScriptChannel, q: string) => c.call('queue.delete', { queue: q }) },
    {
      method: 'exchange.delete',
      call: (c: ScriptChannel, _q: string, x: string) => c.call('exchange.delete', { exchange: x }),
    },
  ].map(({ method, call }) => ({
    name: `line breaks in the names of ${method}`,
    async run(script: Script) {
      const channel = await script.open();
      const [queue, exchange] = [script.name('q'), script.name('x')];
      await channel.call('queue.declare', { queue });
      await channel.call('exchange.declare', { exchange, type: 'fanout' });
      await call(channel, `${queue}\n`, `${exchange}\n`);
    },
  })),
  {
    name: 'line breaks in a key are a part of it',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange: 'amq.direct', routingKey: `${queue}\n` });
      for (const routingKey of [`${queue}\n`, queue]) {
        channel.publish({ exchange: 'amq.direct', routingKey });
        await reached(channel, [queue]);
      }
    },
  },
  {
    name: 'a name that is a line break alone is empty',
    async run(script) {
      const channel = await script.open();
      await channel.call('exchange.declare', { exchange: '\n', type: 'fanout' });
    },
  },
  {
    name: 'a queue whose name is a line break alone gets one of the server',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: '\n', exclusive: true });
    },
  },
  {
    name: 'an error text has a name as it is',
    async run(script) {
      const channel = await script.open();
      for (const base of ['ö€😀', `quoted ' and "`, 'back\\slash', 'tab\there', '%s ~p ~n']) {
        await channel.call('queue.declare', { queue: script.name(base), passive: true });
        await channel.call('channel.open');
      }
    },
  },
  {
    name: 'a name may take all of its 255 octets',
    async run(script) {
      const channel = await script.open();
      const base = script.name('');
      const [queue, exchange] = [
        script.name('q'.repeat(255 - base.length)),
        script.name('x'.repeat(255 - base.length)),
      ];
      await channel.call('queue.declare', { queue });
      await channel.call('exchange.declare', { exchange, type: 'topic' });
      const routingKey = 'k.'.repeat(127);
      await channel.call('queue.bind', { queue, exchange, routingKey });
      channel.publish({ exchange, routingKey });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'keys are compared octet by octet',
    async run(script) {
      const channel = await script.open();
      const [queue, exchange] = [script.name('q'), script.name('x')];
      await channel.call('queue.declare', { queue });
      await channel.call('exchange.declare', { exchange, type: 'direct' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'caf\u00e9' });
      for (const routingKey of ['caf\u00e9', 'cafe\u0301', 'CAF\u00c9']) {
        channel.publish({ exchange, routingKey });
        await reached(channel, [queue]);
      }
    },
  },
  {
    name: 'names of queues and of exchanges do not meet',
    async run(script) {
      const channel = await script.open();
      const name = script.name('same');
      await channel.call('queue.declare', { queue: name });
      await channel.call('exchange.declare', { exchange: name, type: 'fanout' });
      await channel.call('queue.bind', { queue: name, exchange: name });
      await channel.call('exchange.delete', { exchange: name });
      await channel.call('queue.declare', { queue: name, passive: true });
    },
  },
];
