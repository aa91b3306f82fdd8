import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Deque } from '../../../infra/local/broker/deque';

describe('a deque', () => {
  test('behaves as an array does, through growth and wrap-around', () => {
    const operation = fc.oneof(
      fc.record({ do: fc.constant('push' as const), items: fc.tuple(fc.nat(100)) }),
      fc.record({ do: fc.constant('shift' as const), items: fc.constant([]) }),
      fc.record({ do: fc.constant('merge' as const), items: fc.array(fc.nat(1000), { maxLength: 40 }) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200, size: 'max' }), (operations) => {
        const deque = new Deque<number>();
        const model: number[] = [];
        for (const { do: what, items } of operations) {
          if (what === 'push') {
            // In order, as messages come: a place among them can be searched for.
            const next = (model.at(-1) ?? 0) + (items[0] ?? 0);
            deque.push(next);
            model.push(next);
          } else if (what === 'shift') {
            expect(deque.shift()).toBe(model.shift());
          } else {
            const incoming = items.sort((a, b) => a - b);
            deque.merge(incoming, (a, b) => a < b);
            model.push(...incoming);
            model.sort((a, b) => a - b);
          }
          expect([deque.length, deque.peek()]).toEqual([model.length, model[0]]);
        }
        expect(Array.from({ length: deque.length }, () => deque.shift())).toEqual(model);
      }),
    );
  });
});
