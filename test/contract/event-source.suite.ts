import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { MqEvent } from '../../infra/local/event-source/event';
import { type RunningMapping, startMapping } from '../../infra/local/event-source/mapping';
import { openChannel, queueNames, type TestChannel } from '../helpers/amqp';

/** What the emulated event source mapping promises, on any broker. */
export function describeEventSource(
  name: string,
  broker: () => Promise<{ url: string; close(): Promise<void> }>,
): void {
  describe(`the event source mapping on ${name}`, () => {
    const { wsQueue: queue } = queueNames();
    let url: string;
    let stopBroker: () => Promise<void>;
    let client: TestChannel;
    let mapping: RunningMapping | undefined;

    beforeAll(async () => {
      ({ url, close: stopBroker } = await broker());
    });
    beforeEach(async () => {
      client = await openChannel(url);
      await client.channel.assertQueue(queue, { durable: true });
    });
    afterEach(async () => {
      await mapping?.close();
      await client.channel.deleteQueue(queue);
      await client.close();
    });
    afterAll(() => stopBroker());

    /** Starts the mapping; `work` is the function, given the texts of its batch. */
    function start(
      work: (texts: string[], event: MqEvent, invocation: number) => Promise<void> | void,
      limits: { batchSize?: number; windowMs?: number } = {},
    ) {
      let invocations = 0;
      const lines: string[] = [];
      mapping = startMapping(
        {
          functionKey: 'f',
          queue,
          virtualHost: '/',
          batchSize: 10,
          windowMs: 0,
          eventSourceArn: 'arn',
          ...limits,
        },
        {
          url,
          backOffMs: 20,
          report: (line) => lines.push(line),
          async invoke(_, event) {
            invocations += 1;
            const records = event.rmqMessagesByQueue[`${queue}::/`] ?? [];
            await work(
              records.map(({ data }) => String(Buffer.from(data, 'base64'))),
              event,
              invocations,
            );
          },
        },
      );
      return lines;
    }

    const publish = (...texts: string[]) => {
      for (const text of texts) client.channel.sendToQueue(queue, Buffer.from(text), { messageId: text });
    };
    /** Resolves when the queue holds nothing, acknowledged or not. */
    const drained = async () => {
      await mapping?.close();
      expect((await client.channel.checkQueue(queue)).messageCount).toBe(0);
    };

    test('hands over batches in order and acknowledges them', async () => {
      const texts = Array.from({ length: 25 }, (_, n) => String(n));
      publish(...texts);
      const seen: string[][] = [];
      await new Promise<void>((resolve) => {
        start((batch) => {
          seen.push(batch);
          if (seen.flat().length === texts.length) resolve();
        });
      });
      expect(seen.flat()).toEqual(texts);
      expect(Math.max(...seen.map((batch) => batch.length))).toBeLessThanOrEqual(10);
      await drained();
    });

    test('fills a batch up to its size within its window', async () => {
      const batch = new Promise<string[]>((resolve) => start(resolve, { batchSize: 3, windowMs: 20_000 }));
      publish('a');
      publish('b');
      publish('c');
      expect(await batch).toEqual(['a', 'b', 'c']);
    });

    test('invokes one at a time', async () => {
      let underWay = 0;
      let most = 0;
      publish(...Array.from({ length: 12 }, (_, n) => String(n)));
      await new Promise<void>((resolve) => {
        let done = 0;
        start(
          async (batch) => {
            underWay += 1;
            most = Math.max(most, underWay);
            await new Promise(setImmediate);
            underWay -= 1;
            done += batch.length;
            if (done === 12) resolve();
          },
          { batchSize: 2 },
        );
      });
      expect(most).toBe(1);
    });

    test('returns the whole batch when the function throws, marked as redelivered, in its order', async () => {
      publish('a', 'b', 'c');
      const seen: { texts: string[]; redelivered: boolean[] }[] = [];
      const lines = await new Promise<string[]>((resolve) => {
        const lines = start((texts, event, invocation) => {
          const records = event.rmqMessagesByQueue[`${queue}::/`] ?? [];
          seen.push({ texts, redelivered: records.map(({ redelivered }) => redelivered) });
          if (invocation === 1) throw new Error('not yet');
          if (seen.slice(1).flatMap((batch) => batch.texts).length === 3) resolve(lines);
        });
      });
      const again = seen.slice(1);
      expect(again.flatMap(({ texts }) => texts)).toEqual(['a', 'b', 'c']);
      expect(seen[0]?.redelivered.every((flag) => !flag)).toBe(true);
      expect(again.flatMap(({ redelivered }) => redelivered).slice(0, seen[0]?.texts.length)).not.toContain(false);
      expect(lines.join()).toContain('the function failed');
      await drained();
    });

    test('comes back by itself when its connection is cut, and loses nothing', async () => {
      const seen = new Set<string>();
      const all = new Promise<void>((resolve) => {
        start((texts) => {
          for (const text of texts) seen.add(text);
          if (seen.size === 2) resolve();
        });
      });
      publish('before');
      await client.channel.checkQueue(queue);
      await client.channel.deleteQueue(queue);
      await client.channel.assertQueue(queue, { durable: true });
      publish('before', 'after');
      await all;
      expect([...seen].sort()).toEqual(['after', 'before']);
    });
  });
}
