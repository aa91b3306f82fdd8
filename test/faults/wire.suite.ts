import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import { fault, type TestBroker } from './faults';

/** What the network does between the gateway and the broker. */
export function describeWireFaults(broker: TestBroker): void {
  describe(`on the way to ${broker.name}`, () => {
    fault(broker, 'connections reset', {}, async ({ load, wire }) => {
      const running = load();
      for (const answers of [100, 200, 300]) {
        await running.answered(answers);
        wire.reset();
      }
      await running.done;
      return (row) => {
        expect(wire.connections).toBeGreaterThan(3);
        expect(row.acked).toBe(row.messages);
      };
    });

    fault(broker, 'open connections in a black hole', {}, async ({ load, wire }) => {
      const running = load();
      await running.answered(200);
      const opened = wire.connections;
      wire.disturb({ requests: 'lose', answers: 'lose' });
      await running.done;
      return (row) => {
        expect(wire.connections).toBeGreaterThan(opened);
        expect(row.acked).toBe(row.messages);
      };
    });

    fault(broker, 'black hole for 4 s', {}, async ({ books, load, wire }) => {
      const running = load({ perSecond: 100 });
      await running.answered(200);
      const opened = wire.connections;
      const before = books.answers;
      wire.disturb({ requests: 'lose', answers: 'lose' }, { future: true });
      await sleep(4000);
      const meanwhile = books.answers - before;
      wire.calm();
      await running.done;
      return (row) => {
        // Confirms that had arrived already.
        expect(meanwhile).toBeLessThan(100);
        expect(wire.connections).toBeGreaterThan(opened);
        expect(row.acked).toBe(row.messages);
      };
    });

    fault(broker, 'unreachable for 20 s', {}, async ({ books, load, wire }) => {
      const running = load({ perSecond: 25 });
      await running.answered(50);
      wire.refuse(true);
      wire.reset();
      await sleep(20_000);
      wire.refuse(false);
      await running.done;
      return (row) => {
        expect([...books.refused.keys()]).toEqual(['unavailable']);
        expect(row.acked).toBeGreaterThan(50);
      };
    });

    fault(broker, 'latency of 2 s', {}, async ({ books, load, wire }) => {
      const running = load({ perSecond: 100 });
      await running.answered(200);
      const before = books.answers;
      wire.disturb({ latencyMs: 2000 }, { future: true });
      await sleep(5000);
      const meanwhile = books.answers - before;
      wire.calm();
      await running.done;
      return (row) => {
        // Nothing is confirmed within the gateway's patience, and no new connection opens in it.
        expect(meanwhile).toBeLessThan(100);
        expect(['unavailable']).toEqual(expect.arrayContaining([...books.refused.keys()]));
        expect(row.acked).toBeGreaterThan(200);
      };
    });

    fault(broker, '10 kB/s', {}, async ({ books, load, wire }) => {
      const running = load({ length: () => 500 });
      await running.answered(100);
      const before = books.answers;
      const startedAt = performance.now();
      wire.disturb({ bytesPerSecond: 10_000 }, { future: true });
      await sleep(5000);
      const meanwhile = books.answers - before;
      const seconds = (performance.now() - startedAt) / 1000;
      wire.calm();
      await running.done;
      return (row) => {
        // A message takes 900 bytes, and two processes have a connection each.
        expect(meanwhile).toBeLessThan(40 * seconds);
        expect(row.acked).toBe(row.messages);
      };
    });

    fault(broker, 'half-open after idle', {}, async ({ load, wire }) => {
      await load({ messages: 100 }).done;
      const opened = wire.connections;
      wire.disturb({ requests: 'lose', answers: 'lose' });
      await load({ messages: 500 }).done;
      return (row) => {
        expect(wire.connections).toBeGreaterThan(opened);
        expect(row.acked).toBe(row.messages);
      };
    });
  });
}
