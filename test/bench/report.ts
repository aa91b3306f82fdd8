import { inColumns } from '../../infra/columns';
import type { Count, Result, Row } from './bench';
import { compare } from './statistics';

/** What a run found: as a table for the terminal, and as Markdown with what a reader must know of it. */

/** A benchmark that ran to its end, or what it failed of, or what it was left out for. */
export type Outcome = { name: string } & ({ result: Result } | { failure: string } | { leftOut: string });

/** What there was to measure on and with; each a name and what it was. */
export type Circumstances = readonly (readonly [name: string, value: string])[];

/** A loss, a count that is not as expected, a crash; a goal that is missed is none. */
export function faultsIn(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => {
    if ('failure' in outcome) return [`${outcome.name} failed: ${outcome.failure}`];
    if ('leftOut' in outcome) return [];
    const wrong = outcome.result.counts.filter(({ found, expected }) => found !== expected);
    return wrong.map(({ count, found, expected }) => `${outcome.name}: ${count}: ${found}, expected ${expected}`);
  });
}

export function leftOutOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => ('leftOut' in outcome ? [`Left out: ${outcome.name}, ${outcome.leftOut}`] : []));
}

export function asText(outcomes: readonly Outcome[]): string {
  const counts = countsOf(outcomes).map(({ count, found, expected }) => [count, String(found), String(expected)]);
  const tables = [
    [titles, ...rowsOf(outcomes).map(cellsOf)],
    [['count', 'found', 'expected'], ...counts],
  ];
  return tables.map((table, i) => inColumns(table, i === 0 ? words : 1)).join('\n\n');
}

export function asMarkdown(outcomes: readonly Outcome[], circumstances: Circumstances): string {
  const rows = rowsOf(outcomes);
  const notes = [...new Set(rows.flatMap(({ note }) => note ?? []))];
  const cells = rows.map((row) => [...cellsOf(row), row.note === undefined ? '' : `[${notes.indexOf(row.note) + 1}]`]);
  const counts = countsOf(outcomes).map(({ count, found, expected }) => [count, String(found), String(expected)]);
  return [
    '# What the gateway costs, and how long it takes',
    'Written by `npm run bench`, not by hand.',
    markdownTable(['measured with', ''], circumstances, 2),
    howToRead,
    markdownTable([...titles, 'note'], cells, words),
    ...notes.map((note, i) => `[${i + 1}] ${note}`),
    '## What does not vary',
    'Another number fails the run.',
    markdownTable(['count', 'found', 'expected'], counts, 1),
    ...leftOutOf(outcomes),
    ...faultsIn(outcomes).map((fault) => `**${fault}**`),
  ].join('\n\n');
}

const titles = ['row', 'ours', 'against', 'metric', 'ours', 'theirs', 'ratio', 'least - most', 'goal', 'met'];
/** How many of the titles head a column of words. */
const words = 4;

const howToRead = `## How to read it

A time alone says nothing on a machine that others use: what counts is the **ratio**, ours by theirs. The rivals of a
row take turns, one at a time, all of them in every round and in the opposite order in every other one. A ratio is
that of a round's two figures; the median of the rounds stands in the table, and beside it the least and the most. A
first round counts for no figure, but its losses count; of memory there is none, and each process is measured twice. A
goal is held against the median; one that is missed is told as such, and [README.md](README.md) says why it is.

Of time, CPU and memory less is better: a goal is \`<=\`. Of msg/s and replies/s more is better: a goal is \`>=\`.

What is measured is the minified bundle that is deployed, in a process of its own, which tells its own time and CPU
(user and system); the broker, and the stand-ins of DynamoDB and @connections, are other processes on the same
machine. Two groups of rows are not of a function alone. A round trip goes through the whole local stack or NestJS
gateway, on the Node of the local stack, by the clock of its clients. Reply shards have an event source mapping before
each consumer, and the clock is that of @connections.`;

function rowsOf(outcomes: readonly Outcome[]): Row[] {
  return outcomes.flatMap((outcome) => ('result' in outcome ? outcome.result.rows : []));
}

function countsOf(outcomes: readonly Outcome[]): Count[] {
  return outcomes.flatMap((outcome) => ('result' in outcome ? outcome.result.counts : []));
}

function cellsOf(row: Row): string[] {
  const { ours, theirs, ratio, leastRatio, mostRatio, met } = compare(row);
  return [
    row.row,
    row.ours,
    row.against,
    row.metric === row.unit ? row.metric : `${row.metric}, ${row.unit}`,
    figure(ours),
    figure(theirs),
    times(ratio),
    `${times(leastRatio)} - ${times(mostRatio)}`,
    row.goal === undefined ? '' : 'atMost' in row.goal ? `<= ${row.goal.atMost}` : `>= ${row.goal.atLeast}`,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ];
}

/** As all numbers are told: 10,000. */
export function thousands(value: number): string {
  return value.toLocaleString('en-US');
}

/** Three digits that count. */
function figure(value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function times(ratio: number): string {
  return Number.isFinite(ratio) ? ratio.toFixed(2) : '-';
}

function markdownTable(head: readonly string[], rows: Circumstances | readonly string[][], words: number): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column < words ? '---' : '---:'));
  return [head, rule, ...rows].map(line).join('\n');
}
