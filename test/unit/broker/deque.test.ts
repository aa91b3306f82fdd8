import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Deque } from '../../../infra/local/broker/deque';

describe('a deque', () => {
  test('behaves as an array does, through growth and wrap-around', () => {
    const operation = fc.oneof(
      fc.record({ do: fc.constant('push' as const), item: fc.nat(100) }),
      fc.record({ do: fc.constant('shift' as const), item: fc.constant(0) }),
      fc.record({ do: fc.constant('insert' as const), item: fc.nat(100) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200, size: 'max' }), (operations) => {
        const deque = new Deque<number>();
        const model: number[] = [];
        for (const { do: what, item } of operations) {
          if (what === 'push') {
            // In order, as messages come: a place among them can be searched for.
            const next = (model.at(-1) ?? 0) + item;
            deque.push(next);
            model.push(next);
          } else if (what === 'shift') {
            expect(deque.shift()).toBe(model.shift());
          } else {
            deque.insertBefore(item, (other) => other > item);
            const at = model.findIndex((other) => other > item);
            model.splice(at === -1 ? model.length : at, 0, item);
          }
          expect([deque.length, deque.peek()]).toEqual([model.length, model[0]]);
        }
        expect(Array.from({ length: deque.length }, () => deque.shift())).toEqual(model);
      }),
    );
  });
});
