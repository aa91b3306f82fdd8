import { describe, expect, test } from '@jest/globals';
import type { QueueConsumer } from '../../../infra/local/broker/consumers';
import { table } from '../../../infra/local/broker/fields';
import { Memory } from '../../../infra/local/broker/memory';
import { createMessage } from '../../../infra/local/broker/message';
import { type Entry, Queue, resumeByTurns } from '../../../infra/local/broker/queue';

const host = {
  memory: new Memory(Number.POSITIVE_INFINITY),
  deadLetter: () => undefined,
  removeQueue: () => undefined,
};

const queueWith = (options: Record<string, number>) =>
  new Queue(
    'queue',
    {
      durable: false,
      autoDelete: false,
      arguments: table(
        Object.fromEntries(Object.entries(options).map(([name, value]) => [name, { type: 'signedint', value }])),
      ),
      owner: undefined,
    },
    host,
  );

const publish = (queue: Queue, body: string, priority = 0) =>
  queue.publish(createMessage('', [queue.name], { priority }, Buffer.from(body)));

const takeAll = (queue: Queue): Entry[] => {
  const entry = queue.take();
  return entry === undefined ? [] : [entry, ...takeAll(queue)];
};

const bodies = (entries: readonly Entry[]) => entries.map(({ message }) => message.body.toString()).join('');

describe('a classic queue', () => {
  test('puts what several clients give back among what others gave back and what came since', () => {
    const queue = queueWith({});
    for (const body of 'abcdef') publish(queue, body);
    const entries = takeAll(queue);
    const every = (remainder: number) => entries.filter((_, index) => index % 3 === remainder);
    publish(queue, 'g');
    queue.requeue(every(1), 'abandoned');
    queue.requeue(every(0).reverse(), 'requeued');
    queue.requeue(every(2), 'abandoned');
    expect(bodies(takeAll(queue))).toBe('abcdefg');
  });

  test('puts back each message among those of its priority', () => {
    const queue = queueWith({ 'x-max-priority': 1 });
    for (const [index, body] of [...'aBcDeF'].entries()) publish(queue, body, index % 2);
    const entries = takeAll(queue);
    expect(bodies(entries)).toBe('BDFace');
    publish(queue, 'g');
    publish(queue, 'H', 1);
    queue.requeue([...entries].reverse(), 'requeued');
    expect(bodies(takeAll(queue))).toBe('BDFHaceg');
  });
});

describe('queues that share room', () => {
  test('have the first choice by turns', () => {
    let room = 0;
    const taken: string[] = [];
    const queues = ['A', 'B', 'C'].map((name) => {
      const queue = queueWith({});
      const consumer: QueueConsumer = {
        tag: name,
        priority: 0,
        exclusive: false,
        canTake: () => room > 0,
        deliver() {
          room -= 1;
          taken.push(name);
        },
        cancelled: () => undefined,
      };
      queue.addConsumer(consumer);
      for (const body of 'abc') publish(queue, body);
      return queue;
    });
    for (let turn = 0; turn < 4; turn += 1) {
      room = 1;
      resumeByTurns(new Set(queues), turn);
    }
    expect(taken).toEqual(['A', 'B', 'C', 'A']);
  });
});
