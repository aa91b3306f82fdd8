import { describe, expect, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import fc from 'fast-check';
import { Batcher } from '../../../infra/local/event-source/batch';

function message(text: string): ConsumeMessage {
  return {
    content: Buffer.from(text),
    fields: { redelivered: false },
    properties: {},
  } as unknown as ConsumeMessage;
}

const texts = (batch: { records: { data: string }[] } | undefined) =>
  batch?.records.map(({ data }) => String(Buffer.from(data, 'base64')));

describe('a batch', () => {
  test('has what waits when its window is 0', async () => {
    const batcher = new Batcher({ batchSize: 10, windowMs: 0 });
    batcher.push(message('a'));
    batcher.push(message('b'));
    expect(texts(await batcher.take())).toEqual(['a', 'b']);
  });

  test('is handed out when full, and the rest waits for the next', async () => {
    const batcher = new Batcher({ batchSize: 2, windowMs: 60_000 });
    for (const text of ['a', 'b', 'c']) batcher.push(message(text));
    expect(texts(await batcher.take())).toEqual(['a', 'b']);
    batcher.push(message('d'));
    expect(texts(await batcher.take())).toEqual(['c', 'd']);
  });

  test('waits for its window, from its first message on', async () => {
    const batcher = new Batcher({ batchSize: 10, windowMs: 80 });
    const startedAt = Date.now();
    const taking = batcher.take();
    batcher.push(message('a'));
    setTimeout(() => batcher.push(message('b')), 20);
    expect(texts(await taking)).toEqual(['a', 'b']);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(75);
  });

  test('stays below the payload of an invocation, whatever the sizes, and loses and reorders nothing', async () => {
    const maxBytes = 8 * 1024;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 3000 }), { minLength: 1, maxLength: 30 }), async (sizes) => {
        const batcher = new Batcher({ batchSize: 7, windowMs: 0, maxBytes });
        const sent = sizes.map((size, n) => `${n}:${'x'.repeat(size)}`);
        for (const text of sent) batcher.push(message(text));
        const taken: string[] = [];
        while (taken.length < sent.length) {
          const batch = await batcher.take();
          expect(batch?.records.length).toBeLessThanOrEqual(7);
          expect(JSON.stringify(batch?.records).length).toBeLessThanOrEqual(maxBytes);
          taken.push(...(texts(batch) ?? []));
        }
        expect(taken).toEqual(sent);
      }),
    );
  });

  test('holds a message that is too large for any batch alone', async () => {
    const batcher = new Batcher({ batchSize: 10, windowMs: 0, maxBytes: 2048 });
    batcher.push(message('x'.repeat(5000)));
    batcher.push(message('b'));
    expect(texts(await batcher.take())).toHaveLength(1);
    expect(texts(await batcher.take())).toEqual(['b']);
  });

  test('is never handed out after the end', async () => {
    const batcher = new Batcher({ batchSize: 10, windowMs: 60_000 });
    const taking = batcher.take();
    batcher.push(message('a'));
    batcher.end();
    expect(await taking).toBeUndefined();
  });
});
