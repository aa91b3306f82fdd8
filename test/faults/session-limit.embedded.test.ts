import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import { queueNames } from '../helpers/amqp';
import { startStack } from '../helpers/stack';
import { Books } from './books';
import { faultOn, type Ground, leastMessages } from './faults';
import { type Regulars, startRegulars } from './regulars';

/** What API Gateway does after two hours, the local stack does after these. */
const connectionSeconds = 5;
const forMs = 60_000;
const habits = { clients: 10, messages: Number.POSITIVE_INFINITY, replies: 2, pauseMs: 1000 };

interface LimitedStack extends Ground {
  regulars: Regulars;
}

/**
 * The end of every connection's time, again and again for a minute: half of the clients know of it and have the next before
 * it comes, the others are cut.
 */
describe(`connections of ${connectionSeconds} seconds, on embedded`, () => {
  faultOn({ name: 'embedded' }, 'sessions: connections of 5 s, for a minute', start, async ({ regulars }) => {
    await regulars.converse(forMs, leastMessages);
    return (row) => {
      for (const { sockets, resumed } of regulars.all) {
        expect(sockets.length).toBeGreaterThan(8);
        expect(resumed).toBeGreaterThanOrEqual(8);
      }
      expect(regulars.areWhole()).toBe(true);
      expect(row).toMatchObject({ delivered: row.messages, deadLettered: 0, gone: 0 });
    };
  });
});

async function start(): Promise<LimitedStack> {
  const queues = queueNames();
  const limits = { CONNECTION_SECONDS: String(connectionSeconds), EXAMPLE_WORKER: 'false' };
  const stack = await startStack({ ...queues.env, ...limits });
  const books = new Books();
  // At 90 to 100% of its age the client library replaces a connection.
  const options = (n: number) => (n % 2 === 0 ? { rotateMs: connectionSeconds * 700 } : {});
  const place = { webSocketUrl: stack.webSocketUrl, amqpUrl: stack.amqpUrl, ...queues };
  const regulars = await startRegulars(place, { ...habits, options }, books);
  return {
    books,
    regulars,
    async account() {
      const deadline = Date.now() + 30_000;
      while (books.lost().length > 0 && Date.now() < deadline) await sleep(100);
      return books.counts();
    },
    async stop() {
      await regulars.close();
      await stack.stop();
    },
  };
}
