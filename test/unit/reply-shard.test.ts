import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mostReplyShards, replyQueues, topology } from '../../infra/topology';
import { replyQueueOf } from '../../lib/reply-shard';

const queues = (replyShards: number) => replyQueues({ wsQueue: 'ws_queue', replyShards });

describe('the queues of replies', () => {
  test('are the plain queue alone, unless there are shards', () => {
    expect(replyQueues({ wsQueue: 'ws_queue' })).toEqual(['ws_queue']);
    expect(queues(1)).toEqual(['ws_queue']);
    expect(queues(3)).toEqual(['ws_queue', 'ws_queue.1', 'ws_queue.2']);
  });

  test('stand in the topology between the requests and one queue of dead letters, all plain and durable', () => {
    const declared = topology({ apiQueue: 'api_queue', wsQueue: 'ws_queue', replyShards: 2 });
    const names = ['api_queue', 'ws_queue', 'ws_queue.1', 'ws_queue.dead'];
    expect(declared).toEqual(names.map((name) => ({ name, durable: true, arguments: {} })));
  });
});

describe('the queue for the replies to a connection', () => {
  // What lies in the queues was chosen by an older version: these may never change.
  test.each([
    ['L0SM9cOFvHcCIhw=', 2, 'ws_queue.1'],
    ['L0SM9cOFvHcCIhw=', 4, 'ws_queue.1'],
    ['L0SM9cOFvHcCIhw=', 8, 'ws_queue.5'],
    ['L0SM9cOFvHcCIhw=', 32, 'ws_queue.21'],
    ['dGVzdA==', 4, 'ws_queue.2'],
    ['dGVzdA==', 7, 'ws_queue.4'],
    ['0b5a9c9e-6f0e-4c7d-9a53-2f8f6f1f3c11', 32, 'ws_queue.29'],
    ['', 2, 'ws_queue'],
  ])('of %p, one of %p, is %s for ever', (connectionId, replyShards, queue) => {
    expect(replyQueueOf(connectionId, queues(replyShards))).toBe(queue);
  });

  test('is the plain one where there are no shards, whatever the connection', () => {
    fc.assert(fc.property(fc.string(), (connectionId) => replyQueueOf(connectionId, queues(1)) === 'ws_queue'));
  });

  /** Ids as they are given: at random by API Gateway and serverless-offline, or, the worst that could be, by counting. */
  const kinds: [string, (n: number, seed: string) => string][] = [
    ['of API Gateway', (n, seed) => `${Buffer.from(`${seed}${n}`).toString('base64').slice(0, 15)}=`],
    ['that are counted', (n, seed) => `${seed}${n}`],
    ['that differ in the middle alone', (n, seed) => `${seed}-${n}-${seed}`],
  ];

  test.each(kinds)('spreads connections evenly, with ids %s', (_, idOf) => {
    const connections = 4000;
    fc.assert(
      fc.property(fc.integer({ min: 2, max: mostReplyShards }), fc.string({ maxLength: 6 }), (replyShards, seed) => {
        const counts = new Map(queues(replyShards).map((queue) => [queue, 0]));
        for (let n = 0; n < connections; n += 1) {
          const queue = replyQueueOf(idOf(n, seed), [...counts.keys()]);
          counts.set(queue, (counts.get(queue) ?? 0) + 1);
        }
        const even = connections / replyShards;
        // Five standard deviations of a fair choice.
        const margin = 5 * Math.sqrt(even);
        return [...counts.values()].every((count) => Math.abs(count - even) < margin);
      }),
      { numRuns: 20 },
    );
  });
});
