import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createRouter } from '../../../infra/local/broker/routing';

const word = fc.constantFrom('a', 'b', 'c', '');
const key = fc.array(word, { maxLength: 6 }).map((words) => words.join('.'));
const pattern = fc.array(fc.oneof(word, fc.constantFrom('*', '#')), { maxLength: 6 }).map((words) => words.join('.'));

const bound = (destination: string, routingKey: string) => ({
  destination,
  routingKey,
  arguments: new Map(),
});

/** The rule itself, word by word and without any cleverness. */
function matches(pattern: string[], words: string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return words.length === 0;
  if (first === '#') return matches(rest, words) || (words.length > 0 && matches(pattern, words.slice(1)));
  return words.length > 0 && (first === '*' || first === words[0]) && matches(rest, words.slice(1));
}

const words = (text: string) => (text === '' ? [] : text.split('.'));

describe('a topic router', () => {
  test('finds exactly the bindings whose pattern matches', () => {
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 8 }), key, (patterns, routingKey) => {
        const router = createRouter<string>('topic');
        for (const each of patterns) router.add(bound(each, each));
        const found = new Set<string>();
        router.match([routingKey], undefined, found);
        expect([...found].sort()).toEqual(patterns.filter((each) => matches(words(each), words(routingKey))).sort());
      }),
      { numRuns: 1_000 },
    );
  });

  test('forgets the bindings that are removed and keeps the others', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(pattern, { maxLength: 8 }),
        fc.uniqueArray(pattern, { maxLength: 8 }),
        key,
        (kept, gone, routingKey) => {
          const router = createRouter<string>('topic');
          const removed = gone.map((each) => bound(`gone ${each}`, each));
          for (const each of kept) router.add(bound(each, each));
          for (const each of removed) router.add(each);
          for (const each of removed) router.remove(each);
          const found = new Set<string>();
          router.match([routingKey], undefined, found);
          expect([...found].sort()).toEqual(kept.filter((each) => matches(words(each), words(routingKey))).sort());
        },
      ),
    );
  });

  test('takes no exponential time over a pattern full of #', () => {
    const router = createRouter<string>('topic');
    router.add(bound('never', `${'#.a.'.repeat(30)}z`));
    const found = new Set<string>();
    router.match([Array.from({ length: 100 }, () => 'a').join('.')], undefined, found);
    expect(found.size).toBe(0);
  });
});

describe('a direct router', () => {
  test('finds a destination once, and until its last binding goes', () => {
    const router = createRouter<string>('direct');
    const [first, second] = [bound('queue', 'k'), bound('queue', 'k')];
    router.add(first);
    router.add(second);
    router.remove(first);
    const found = new Set<string>();
    router.match(['k'], undefined, found);
    expect([...found]).toEqual(['queue']);
  });
});
