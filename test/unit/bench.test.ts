import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inColumns } from '../../infra/columns';
import type { Row } from '../bench/bench';
import { asMarkdown, asText, faultsIn, type Outcome } from '../bench/report';
import { interleaved } from '../bench/rounds';
import { compare, median } from '../bench/statistics';

const row: Row = {
  row: 'send',
  ours: 'handler',
  against: 'amqplib',
  metric: 'time',
  unit: 'ms',
  ourFigures: [12, 30, 9],
  theirFigures: [10, 20, 12],
  goal: { atMost: 1.2 },
  note: 'Sequential.',
};
const counted = (found: number): Outcome => ({
  name: 'send',
  result: { rows: [row], counts: [{ count: 'frames per send', found, expected: 3 }] },
});

describe('the figures of a benchmark', () => {
  test('have the median of the ratios of each round for a ratio, not the ratio of the medians', () => {
    expect(compare(row)).toEqual({ ours: 12, theirs: 12, ratio: 1.2, leastRatio: 0.75, mostRatio: 1.5, met: true });
  });

  test('are held to what must not be more, and to what must not be less', () => {
    const { goal: _, ...without } = row;
    expect(compare({ ...row, goal: { atMost: 1.19 } }).met).toBe(false);
    expect(compare({ ...row, goal: { atLeast: 1.2 } }).met).toBe(true);
    expect(compare({ ...row, goal: { atLeast: 1.21 } }).met).toBe(false);
    expect(compare(without).met).toBeUndefined();
  });

  test('are no figures where a round of one rival is missing, or all of them are', () => {
    expect(() => compare({ ...row, theirFigures: [10, 200] })).toThrow('not as many');
    expect(() => compare({ ...row, ourFigures: [], theirFigures: [] })).toThrow('Nothing was measured');
  });

  test('have a median with as many figures below as above it, in the midst of an even number', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }), (values) => {
        const middle = median(values);
        const below = values.filter((value) => value < middle).length;
        const above = values.filter((value) => value > middle).length;
        expect(below).toBeLessThanOrEqual(values.length / 2);
        expect(above).toBeLessThanOrEqual(values.length / 2);
        expect(median(values.map((value) => -value)) + middle).toBe(0);
      }),
    );
  });
});

describe('the rounds of a benchmark', () => {
  test('turn their order round, one after another, and leave the first out', async () => {
    const turns: string[] = [];
    const turn = (rival: string) => async (round: number) => {
      turns.push(`${rival}${round}`);
      return { round };
    };
    const measured = await interleaved(3, { a: turn('a'), b: turn('b') });
    expect(turns).toEqual(['b-1', 'a-1', 'a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
    expect(measured).toEqual({
      a: [{ round: 0 }, { round: 1 }, { round: 2 }],
      b: [{ round: 0 }, { round: 1 }, { round: 2 }],
    });
  });
});

describe('the report of a benchmark', () => {
  test('finds fault with a count that is another, and with a crash, but with no goal that is missed', () => {
    const missed: Outcome = { name: 'send', result: { rows: [{ ...row, goal: { atMost: 1 } }], counts: [] } };
    expect(asText([missed])).toContain('MISSED');
    expect(faultsIn([missed, counted(3), { name: 'memory', leftOut: 'which needs RabbitMQ.' }])).toEqual([]);
    expect(faultsIn([counted(4), { name: 'memory', failure: 'no answer' }])).toEqual([
      'send: frames per send: 4, expected 3',
      'memory failed: no answer',
    ]);
  });

  test('is a table whose notes stand below it, each once', () => {
    const markdown = asMarkdown([counted(3), counted(3)], [['machine', '2 cores']]);
    expect(markdown).toContain('| machine | 2 cores |');
    const line = '| send | handler | amqplib | time, ms | 12.0 | 12.0 | 1.20 | 0.75 - 1.50 | <= 1.2 | met | [1] |';
    expect(markdown.split('\n').filter((each) => each === line)).toHaveLength(2);
    expect(markdown.split('\n').filter((each) => each.endsWith('Sequential.'))).toHaveLength(1);
  });

  test('stands in columns: words to the left, numbers to the right', () => {
    expect(
      inColumns([
        ['name', 'KB'],
        ['send', '120.5'],
        ['a', '7'],
      ]),
    ).toBe('name     KB\nsend  120.5\na         7');
  });
});
