import { describe, expect, test } from '@jest/globals';
import { ConsumerRing, type QueueConsumer } from '../../../infra/local/broker/consumers';

interface Taker extends QueueConsumer {
  room: boolean;
}

const taker = (tag: string, priority = 0): Taker => ({
  tag,
  priority,
  exclusive: false,
  room: true,
  canTake() {
    return this.room;
  },
  deliver: () => undefined,
  cancelled: () => undefined,
});

const ringOf = (...consumers: QueueConsumer[]) => {
  const ring = new ConsumerRing(false, true);
  for (const consumer of consumers) ring.add(consumer);
  return ring;
};

const turns = (ring: ConsumerRing, count: number) => Array.from({ length: count }, () => ring.next()?.tag);

describe('the consumers of a queue', () => {
  test('take turns', () => {
    expect(turns(ringOf(taker('a'), taker('b'), taker('c')), 5)).toEqual(['a', 'b', 'c', 'a', 'b']);
  });

  test('take all by priority as long as the highest has room', () => {
    const high = taker('high', 1);
    const ring = ringOf(taker('low'), high);
    expect(turns(ring, 2)).toEqual(['high', 'high']);
    high.room = false;
    expect(turns(ring, 2)).toEqual(['low', 'low']);
    high.room = true;
    ring.rejoin(high);
    expect(turns(ring, 1)).toEqual(['high']);
  });

  test('have their turn after all others once they were passed over without room', () => {
    const [a, b, c] = [taker('a'), taker('b'), taker('c')];
    const ring = ringOf(a, b, c);
    a.room = false;
    expect(turns(ring, 1)).toEqual(['b']);
    a.room = true;
    ring.rejoin(a);
    expect(turns(ring, 4)).toEqual(['c', 'b', 'a', 'c']);
  });

  test('keep their turn when they have room again before it comes', () => {
    const [a, b, c] = [taker('a'), taker('b'), taker('c')];
    const ring = ringOf(a, b, c);
    b.room = false;
    expect(turns(ring, 1)).toEqual(['a']);
    b.room = true;
    ring.rejoin(b);
    expect(turns(ring, 3)).toEqual(['b', 'c', 'a']);
  });

  test('come back all at once in the order in which they were passed over, and only those with room', () => {
    const [a, b, c, d] = [taker('a'), taker('b'), taker('c'), taker('d')];
    const ring = ringOf(a, b, c, d);
    for (const full of [a, b, c]) full.room = false;
    expect(turns(ring, 1)).toEqual(['d']);
    for (const drained of [c, a]) drained.room = true;
    ring.rejoinAll();
    expect(turns(ring, 4)).toEqual(['d', 'a', 'c', 'd']);
  });

  test('get nothing after they left, though they had no room then', () => {
    const [a, b] = [taker('a'), taker('b')];
    const ring = ringOf(a, b);
    a.room = false;
    expect(turns(ring, 1)).toEqual(['b']);
    ring.remove(a);
    a.room = true;
    ring.rejoin(a);
    expect([ring.size, ...turns(ring, 2)]).toEqual([1, 'b', 'b']);
  });
});
