import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import { runtimeClient } from '../helpers/lambda-runtime';
import type { Books } from './books';
import { fault, leastMessages, type TestBroker } from './faults';
import type { Load } from './load';

/** What happens to the processes of `send`: Lambda freezes them between two events, and ends them when it likes. */
export function describeProcessFaults(broker: TestBroker): void {
  const heartbeatSeconds = 1;
  /** After two heartbeats without a sign of life a broker gives its client up. */
  const frozenMs = 4000;

  describe(`a process that publishes to ${broker.name}`, () => {
    fault(
      broker,
      'frozen past two heartbeats and thawed',
      { heartbeatSeconds },
      async ({ books, load, send, wire }) => {
        await load({ messages: 250 }).done;
        const opened = wire.connections;
        for (const process of send) process.freeze();
        await sleep(frozenMs);
        for (const process of send) process.thaw();
        await load({ messages: 250 }).done;
        return (row) => {
          expect(wire.connections).toBeGreaterThanOrEqual(opened + send.length);
          expect([...books.refused]).toEqual([]);
          expect(row.acked).toBe(row.messages);
        };
      },
    );

    fault(broker, 'frozen between publish and confirm', { heartbeatSeconds }, async ({ books, load, send, wire }) => {
      const running = load({ messages: Number.POSITIVE_INFINITY, perSecond: 100 });
      await running.answered(100);
      wire.disturb({ answers: 'hold' });
      await wire.carried(nextPrompt(books));
      for (const process of send) process.freeze();
      await sleep(frozenMs);
      wire.calm();
      for (const process of send) process.thaw();
      await enough(running);
      return (row) => {
        // Where the machine is slow some have had to wait too long; their clients know it.
        expect([...books.refused.keys()].filter((code) => code !== 'unavailable')).toEqual([]);
        expect(row.acked).toBeGreaterThan(0.5 * row.messages);
        // Nobody but the broker knows that it had them already.
        expect(row.duplicated).toBeGreaterThan(0);
      };
    });

    fault(broker, 'killed -9 between publish and ack', { heartbeatSeconds }, async ({ books, load, send, wire }) => {
      const running = load({ messages: Number.POSITIVE_INFINITY, perSecond: 100 });
      await running.answered(100);
      wire.disturb({ answers: 'hold' });
      await wire.carried(nextPrompt(books));
      await Promise.all(send.map((process) => process.kill()));
      wire.calm();
      await enough(running);
      return (row) => {
        expect(books.refused.get('none')).toBeGreaterThan(0);
        expect(row.delivered).toBeGreaterThan(row.acked);
      };
    });

    fault(broker, 'told to end (SIGTERM)', {}, async ({ books, load, send }) => {
      const running = load();
      const ends: unknown[] = [];
      for (const answers of [100, 200, 300]) {
        await running.answered(answers);
        // One that was ended before is started again by the next event, which may not have come yet.
        await Promise.all(send.map((process) => process.warmUp()));
        ends.push(...(await Promise.all(send.map((process) => process.terminate()))));
      }
      await running.done;
      return () => {
        expect(new Set(ends)).toEqual(new Set(['SIGTERM']));
        expect(books.answers).toBe(books.messages);
      };
    });

    // Left out, and said so at the end, where that client is not at hand.
    if (runtimeClient !== undefined) {
      const options = { heartbeatSeconds, lambda: true };
      fault(broker, "frozen after every event by AWS's runtime client", options, async ({ books, load, wire }) => {
        await load({ messages: 300, perSecond: 100 }).done;
        const opened = wire.connections;
        await sleep(frozenMs);
        await load({ messages: 300, perSecond: 100 }).done;
        return (row) => {
          // The broker has given up the connections of the frozen.
          expect(wire.connections).toBeGreaterThan(opened);
          expect([...books.refused]).toEqual([]);
          expect(row.acked).toBe(row.messages);
        };
      });
    }
  });
}

async function enough(running: Load): Promise<void> {
  await running.answered(leastMessages);
  running.end();
  await running.done;
}

/** In a message that nobody has sent yet, however slow the first hundred were. */
function nextPrompt({ messages }: Books): string {
  return `"prompt":"${messages + 50} `;
}
