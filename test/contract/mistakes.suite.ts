import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { attack } from './fuzz/attack';
import { MISTAKES } from './fuzz/mistakes';

/**
 * What a client hears that breaks the protocol: the reply code, on its channel or its connection, or nothing but
 * the end of the socket.
 */
export function describeMistakes(broker: () => { port: number }, runs: number): void {
  describe('a client hears what it did wrong', () => {
    test.each([...MISTAKES])('%s', async (_, mistakes) => {
      const property = fc.asyncProperty(fc.array(mistakes, { minLength: runs, maxLength: runs }), async (made) => {
        const heard = await Promise.all(
          made.map(({ bytes }) =>
            attack(
              broker().port,
              { bytes, dribbleBytes: undefined, reads: true, leaves: 'answered' },
              Promise.resolve(),
            ),
          ),
        );
        expect(heard).toEqual(made.map((mistake) => mistake.heard));
      });
      await fc.assert(property, { numRuns: 1, endOnFailure: true });
    });
  });
}
