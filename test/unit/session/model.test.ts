import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Command, type Course, play } from './model/course';
import { type Functions, loadFunctions } from './model/functions';
import { enterTheWorld, leaveTheWorld } from './model/stand-ins';

/**
 * Sessions against a model: whatever is cut, killed, lost, late, doubled or fought for, the application sees each reply once
 * and in the order in which it was published, or is told for a true reason that its session has ended.
 * FUZZ_SEED repeats a run, FUZZ_TIMES makes it longer.
 */

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const RUNS = 2000 * Number(process.env.FUZZ_TIMES ?? 1);

const who = fc.nat(3);
const quietly = fc.boolean();
const faults = ['load', 'save', 'putPage', 'pages', 'deletePages', 'post', 'close', '$disconnect'];
const sendFaults = ['membership', 'join', 'remove', 'begin', 'look', 'take over', 'settle', 'publish'];

/** Out of a number of weights the share of each command. */
const commands: [number, fc.Arbitrary<Command>][] = [
  [14, fc.record({ do: fc.constant('reply'), who, count: fc.integer({ min: 1, max: 7 }) })],
  [1, fc.record({ do: fc.constant('large replies'), who, count: fc.integer({ min: 1, max: 8 }) })],
  [1, fc.record({ do: fc.constant('reply again'), who })],
  [3, fc.record({ do: fc.constantFrom('send', 'send again'), who })],
  [3, fc.record({ do: fc.constant('come'), who })],
  [6, fc.record({ do: fc.constantFrom('cut', 'cut older', 'leave'), who, quietly })],
  [1, fc.record({ do: fc.constantFrom('reload', 'fight'), who })],
  [4, fc.record({ do: fc.constantFrom('kill the consumer', 'redeliver') })],
  [3, fc.record({ do: fc.constantFrom('lose a page', 'kill a function', 'kill a function'), choice: fc.nat() })],
  [
    1,
    fc.record({
      do: fc.constant('outage'),
      at: fc.constantFrom(['load', 'save'], ['putPage'], ['post'], ['post', 'close']),
      ms: fc.constantFrom(5000, 100_000),
    }),
  ],
  [
    5,
    fc.record({
      do: fc.constant('fault'),
      at: fc.constantFrom(...faults, ...sendFaults),
      moment: fc.constantFrom('before', 'after'),
      skip: fc.nat(3),
    }),
  ],
  [3, fc.record({ do: fc.constant('wait'), ms: fc.constantFrom(500, 3000, 30_000, 200_000, 320_000) })],
];
const command = fc.oneof(...commands.map(([weight, arbitrary]) => ({ weight, arbitrary })));
const picks = fc.array(fc.nat(9), { maxLength: 20, size: 'max' });
const course: fc.Arbitrary<Course> = fc.record({
  seed: fc.nat(),
  rotateMs: fc.constantFrom(6_600_000, 25_000),
  readsBatches: fc.boolean(),
  inSession: fc.oneof(fc.constant(true), fc.boolean()),
  moves: fc.array(fc.record({ command, picks }), { minLength: 2, maxLength: 14, size: 'max' }),
});

const met = new Map<string, number>();

let functions: Functions;

beforeAll(async () => {
  functions = await loadFunctions();
  process.stdout.write(`FUZZ_SEED=${SEED}\n`);
  enterTheWorld();
});

afterAll(() => {
  leaveTheWorld();
  process.stdout.write(`${[...met].map(([what, times]) => `${what}: ${times}`).join(', ')}\n`);
});

test('each reply is seen once and in order, or the end of the session is told', async () => {
  await fc.assert(
    fc.asyncProperty(course, async (drawn) => {
      const { violations, trace, encounters } = await play(drawn, functions);
      for (const [what, times] of encounters) met.set(what, (met.get(what) ?? 0) + times);
      if (violations.length > 0) throw new Error(`${violations.join('\n')}\n\n${trace.slice(-400).join('\n')}`);
    }),
    { numRuns: RUNS, seed: SEED, unbiased: true },
  );
  // Else it would try nothing. The rarest of them is met about once in a hundred runs.
  const tried = ['resumed', 'reply seen', 'consumer killed', 'batch given out twice', 'page lost', 'function killed'];
  const ends = ['refused: incomplete', 'closed: taken_over', 'duplicate acknowledged', 'batch came back'];
  const posts = ['several replies in one frame'];
  expect([...tried, ...ends, ...posts].filter((what) => !met.has(what))).toEqual([]);
}, 600_000);
