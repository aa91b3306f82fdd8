import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import { fault, type TestBroker } from './faults';
import type { Rig, TestReply } from './rig';

/**
 * The consumer ends in the midst of a batch: the whole batch comes back. A client may then get copies, each with the
 * messageId of its original; a process that lives on knows what it has delivered, and sends none.
 */
export function describeConsumerFaults(broker: TestBroker): void {
  describe(`the consumer on ${broker.name}`, () => {
    fault(broker, 'consumer throws in mid-batch', { consumerTimeoutMs: 6000 }, async (rig) => {
      const { api, consumer, wire } = rig;
      const running = rig.load();
      await delivering(rig);
      // No dead letter can be laid down.
      wire.refuse(true);
      wire.reset();
      const good = Array.from({ length: 20 }, (_, n) => `good-${n}`);
      await rig.reply(good.flatMap((id, n) => [reply(id, { metadata: { socket_id: client } }), reply(`bad-${n}`, {})]));
      await Promise.race([rig.until(() => consumer.failures.length > 0), sleep(20_000, undefined, { ref: false })]);
      wire.refuse(false);
      await running.done;
      return (row) => {
        expect(consumer.failures[0]).toMatch(/^Error: Could not lay down \d+ dead letters/);
        expect(consumer.starts).toBe(1);
        expect(row.deadLettered).toBe(20);
        expect(api.taken.get(client)).toEqual(good.map((messageId) => ({ event: 'recv', messageId, data: {} })));
        expect(copiesKeptBack(rig)).toBeGreaterThan(0);
        expectInOrder(rig);
      };
    });

    fault(broker, 'consumer times out in mid-batch', { consumerTimeoutMs: 12_000 }, async (rig) => {
      const { consumer } = rig;
      const running = rig.load();
      await delivering(rig);
      inMidBatch(rig, 1, () => consumer.freeze());
      await running.done;
      return (row) => {
        expect(consumer.failures).toEqual(['consumer timed out after 12000 ms']);
        expect(consumer.starts).toBe(2);
        expect(row.delivered).toBe(row.messages);
        expect(row.duplicated).toBeGreaterThan(0);
        expectInOrder(rig);
      };
    });

    fault(broker, 'consumer killed -9 in mid-batch', {}, async (rig) => {
      const { consumer } = rig;
      const running = rig.load();
      await delivering(rig);
      inMidBatch(rig, 3, () => void consumer.kill());
      await running.done;
      return (row) => {
        expect(consumer.failures).toEqual(Array(3).fill('The process of consumer ended.'));
        expect(consumer.starts).toBe(4);
        expect(row.delivered).toBe(row.messages);
        expect(row.duplicated).toBeGreaterThan(0);
        expectInOrder(rig);
      };
    });
  });
}

const client = 'client';

function reply(messageId: string, data: object): TestReply {
  return { body: { pattern: 'recv', data }, connectionId: client, properties: { messageId } };
}

/** Resolves once the consumer is at work, well before the end of the load. */
function delivering({ api, until }: Rig): Promise<void> {
  return until(() => api.posts.length >= 100);
}

/**
 * Acts so often, each time at the tenth post of a batch, when others have been answered. The first is answered so late
 * that the next batch has as many.
 */
function inMidBatch({ consumer, answer }: Rig, times: number, act: () => void): void {
  let batch = 0;
  let posts = 0;
  let left = times;
  answer(() => {
    posts = batch === consumer.events ? posts + 1 : 1;
    batch = consumer.events;
    if (posts === 10 && left > 0) {
      left -= 1;
      act();
    }
    return posts === 1 && left > 0 ? { status: 200, delayMs: 100 } : 200;
  });
}

function expectInOrder({ api, books }: Rig): void {
  for (const connectionId of new Set(api.posts)) {
    if (connectionId !== client) expect(books.arrivedAt(connectionId)).toEqual(books.servedTo(connectionId));
  }
}

/** Of replies that came again to the process that had delivered them. */
function copiesKeptBack({ consumer }: Rig): number {
  return consumer.log.reduce((sum, { duplicates = 0 }) => sum + Number(duplicates), 0);
}
