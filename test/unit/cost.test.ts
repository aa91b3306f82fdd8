import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { alarms } from '../../infra/aws/alarms';
import { ackFrame } from '../../lib/frames';
import { emfMetrics, type Measurements, metricUnits } from '../../lib/metrics';
import { parametersOf } from '../helpers/parameters';

const root = join(__dirname, '..', '..');
const read = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');

/** A figure at the end of a cell, and whether it is computed from what stands before it. */
const figure = /(= )?([\d,.]*\d)$/;
/** A cell that is computed: by a product, or from what has a name. */
const computed = /[×`].* = [\d,.]+$/;
/** A figure in a text, which leads to where it is computed; its title is the name. */
const linked = /(?<=\[)([\d,.]*\d)(?=\]\(\S+ "(\w+)"\))/g;
const numberOf = (text: string) => Number(text.replaceAll(',', ''));
const textOf = (value: number, digits: number) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const decimalsOf = (text: string) => text.split('.')[1]?.length ?? 0;
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const nameIn = (cell = '') => /^\**`(\w+)`\**$/.exec(cell)?.[1];

const results = read('test', 'bench', 'results.md').split('\n').map(cellsOf);
const doc = remeasured(read('docs', 'COST.md'));
const deploy = read('docs', 'DEPLOY.md');
const pages = `${doc}\n${deploy}`;

/** What a name stands for: the first cell of its row that ends with a figure and has nothing else but a formula. */
const definitions = new Map(
  pages.split('\n').flatMap((line): [string, string][] => {
    const [first, ...others] = cellsOf(line);
    const name = nameIn(first);
    const cell = others.find((other) => / = [\d,.]+$|^[\d,.]+$/.test(other));
    return name === undefined || cell === undefined ? [] : [[name, cell]];
  }),
);
/** What the columns of that name are computed by, row by row. */
const rules = new Map(
  [...pages.matchAll(/^- `(\w+)` = (.+)$/gm)].map(([, name = '', formula = '']) => [name, formula]),
);

/** The page with the figures of the rows of results.md that it names. */
function remeasured(page: string): string {
  return page.replaceAll(
    /^(\| `\w+` \| [^|]+ \| )[\d,.]+( \| (.+) \/ (.+) \/ (.+) \/ (ours|theirs) \|)$/gm,
    (_, before: string, after: string, row: string, against: string, metric: string, whose: string) =>
      before + measurement(row, against, metric, whose) + after,
  );
}

/** Two digits of it, for more would tell of the machine's other work; milliseconds if it is a time. */
function measurement(row: string, against: string, metric: string, whose: string): string {
  const found = results.find(
    (cells) => cells[0] === row && cells[2] === against && cells[3]?.split(', ')[0] === metric,
  );
  if (found === undefined) throw new Error(`results.md has no row ${row} / ${against} / ${metric}.`);
  const printed = numberOf(found[whose === 'ours' ? 4 : 5] ?? '');
  const rounded = Number((found[3]?.endsWith(', µs') ? printed / 1000 : printed).toPrecision(2));
  return textOf(rounded, decimalsOf(String(rounded)));
}

/** The cells of a row by the names of their columns. */
type Row = ReadonlyMap<string, string>;

function evaluate(formula: string, row: Row): number {
  const script = formula
    .replaceAll(/(?<=\d),(?=\d{3})/g, '')
    .replaceAll(/`(\w+)`/g, (_, name) => `(${figureOf(name, row)})`)
    .replaceAll('×', '*')
    .replaceAll('−', '-');
  return runInNewContext(script, { max: Math.max, ceil: Math.ceil });
}

const figures = new Map<string, number>();

/** As it is printed: rounded. */
function figureOf(name: string, row: Row = new Map()): number {
  const inRow = row.get(name);
  if (inRow !== undefined) return numberOf(recomputed(inRow, rules.get(name), row));
  const cell = definitions.get(name);
  if (cell === undefined) throw new Error(`Nothing on the pages says what ${name} is.`);
  const known = figures.get(name) ?? numberOf(recomputed(cell, undefined, new Map()));
  figures.set(name, known);
  return known;
}

/** The figure of a cell, by the formula of its column or by its own; as it stands there if it has neither. */
function recomputed(cell: string, rule: string | undefined, row: Row): string {
  const [, equals, printed = ''] = figure.exec(cell) ?? [];
  const formula = rule ?? (equals === undefined ? undefined : cell.slice(0, cell.lastIndexOf('=')));
  return formula === undefined ? printed : textOf(evaluate(formula, row), decimalsOf(printed));
}

/** The page with every figure computed anew. */
function recomputedPage(page: string): string {
  let columns: (string | undefined)[] = [];
  const lines = page.split('\n').map((line, number, all) => {
    if (!line.startsWith('|')) return line;
    if (all[number + 1]?.startsWith('| ---')) {
      columns = cellsOf(line).map(nameIn);
      return line;
    }
    const row = new Map(cellsOf(line).flatMap((cell, column) => [[columns[column] ?? '', cell]] as const));
    return line
      .split('|')
      .map((part, column) => {
        const name = columns[column - 1];
        const rule = name === undefined ? undefined : rules.get(name);
        const cell = part.trim();
        if (rule === undefined && !computed.test(cell)) return part;
        return part.replace(
          cell,
          cell.replace(/[\d,.]*\d$/, () => recomputed(cell, rule, row)),
        );
      })
      .join('|');
  });
  return lines.join('\n').replaceAll(linked, (printed, _, name) => textOf(figureOf(name), decimalsOf(printed)));
}

test.each([
  ['COST.md', doc],
  ['DEPLOY.md', deploy],
])('every figure of %s is what it is computed from', (name, text) => {
  const page = recomputedPage(text);
  // For who has changed a price, or measured anew: the difference is for you to read.
  if (process.env.UPDATE_COST === '1') return writeFileSync(join(root, 'docs', name), page);
  expect(text.split('\n').filter((line) => cellsOf(line).some((cell) => computed.test(cell))).length).toBeGreaterThan(
    10,
  );
  expect(read('docs', name).split('\n')).toEqual(page.split('\n'));
});

describe('the counts of COST.md', () => {
  const gateway = parse(read('serverless.yml'), { logLevel: 'silent' });
  const watchedOn = (stage: string, given: Record<string, string> = {}) => {
    const jwt = { jwtIssuer: 'https://id.test/', jwtAudience: 'gate', jwksUrl: 'https://id.test/jwks' };
    const all = Object.values(alarms(parametersOf({ ...(stage === 'prod' ? jwt : {}), ...given }, stage)));
    return all.flatMap(({ Properties }) =>
      ((Properties?.Metrics ?? []) as { MetricStat?: object }[]).filter(({ MetricStat }) => MetricStat),
    ).length;
  };

  test.each([
    ['the metrics that alarms watch', watchedOn('dev'), '22 × `alarm`'],
    ['those that a private broker adds', watchedOn('prod') - watchedOn('dev'), '3 × `alarm`'],
    ['those of a shard more', watchedOn('dev', { replyShards: '2' }) - watchedOn('dev'), '3 × 7 × `alarm`'],
    ['the metrics of our own', Object.keys(metricUnits).length, '22 × `metric`'],
    ['the memory of send', gateway.provider.memorySize, '256 MB, `consumer` has 512'],
    ['the memory of consumer', gateway.functions.consumer.memorySize, '512'],
  ])('are those of the code: %s', (_, count, text) => {
    expect(pages).toContain(text);
    expect(text).toContain(String(count));
  });

  test('take the times of the client library', () => {
    // Nine minutes, and between nine tenths and all of 110.
    expect(read('lib', 'client', 'gateway.ts')).toContain('pingMs = 540_000, rotateMs = 6_600_000');
    expect(doc).toContain('`pings` | pings, in millions | 1,000 × 43,800 / 9 /');
    expect(doc).toContain(`1,000 × 43,800 / ${110 * 0.95} /`);
  });
});

test('COST.md takes five measurements from results.md', () => {
  expect(doc.match(/ \/ (ours|theirs) \|$/gm)?.length).toBe(5);
  expect(remeasured(doc.replaceAll(/ [\d,.]+( \| .+ \/ (?:ours|theirs) \|)$/gm, ' 0$1'))).toBe(doc);
});

describe('the sizes in COST.md', () => {
  /** What Lambda writes of every run. https://docs.aws.amazon.com/lambda/latest/dg/nodejs-logging.html */
  const requestId = '8f507cfc-xmpl-4697-b07a-ac58fc914c95';
  const ofEveryRun = [
    `START RequestId: ${requestId} Version: $LATEST`,
    `END RequestId: ${requestId}`,
    `REPORT RequestId: ${requestId}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB\t` +
      'Max Memory Used: 100 MB\t',
  ];
  const metricsOf = (measured: Measurements) => {
    const lines: string[] = [];
    emfMetrics('ws-gateway-prod', (line) => lines.push(line)).write(measured);
    return lines;
  };
  const batchLine = JSON.stringify({
    level: 'INFO',
    message: 'Handled a batch of replies',
    timestamp: '2026-01-02T03:04:05.678Z',
    service: 'ws-gateway.consumer',
    count: 1,
    verdicts: { delivered: 1 },
    duplicates: 0,
  });
  const messageId = '01a20611-b6e9-77d6-af68-6734662a1f7e';
  const replyParts = {
    id: '1',
    messageId: `${messageId}:reply`,
    traceparent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`,
  };
  const toTheClient = [
    JSON.stringify(ackFrame('1', messageId)),
    JSON.stringify({ event: 'recv', ...replyParts, data: 'x'.repeat(1000) }),
    // The packets of both.
    'x'.repeat(2 * 1000 * figureOf('headerKb')),
  ];

  test.each([
    ['sendLogKb', [...ofEveryRun, ...metricsOf({ Sends: 1, ConfirmLatency: 4 })]],
    ['replyLogKb', [...ofEveryRun, ...metricsOf({ RepliesDelivered: 1, EndToEnd: [123] }), batchLine]],
    ['lifecycleLogKb', [...ofEveryRun, ...metricsOf({ ConnectionsOpened: 1 })]],
    ['runLogKb', ofEveryRun],
    ['clientKb', toTheClient],
  ])('are those of the code, rounded up to a tenth: %s', (name, lines) => {
    const bytes = lines.reduce((sum, line) => sum + line.length, 0);
    expect(figureOf(name)).toBe(Math.ceil(bytes / 100) / 10);
  });
});

test.each([
  ['apiMinute', (price: string) => `costs $${price} for a million minutes`],
  ['tableWrite', (price: string) => `$${price} for a million units written`],
  ['tableRead', (price: string) => `$${price} for a million read`],
  ['metric', (price: string) => `metrics cost $${price} each`],
  ['alarm', (price: string) => `alarms, ${price} for each metric`],
  ['dashboard', (price: string) => `| ${price} | ${price} |`],
  ['secret', (price: string) => `| secret | ${price} | ${price} |`],
  ['nat', (price: string) => `2 × ${price} × 730 = 65.70`],
  ['address', (price: string) => `2 × ${price} × 730 = 7.30`],
])('COST.md and DEPLOY.md have one price: %s', (name, inDeploy) => {
  expect(deploy.replaceAll('\n', ' ')).toContain(inDeploy(definitions.get(name) ?? ''));
});

test('every link of COST.md to a section leads there', () => {
  const anchorsOf = (page: string) =>
    [...page.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
  const links = [...doc.matchAll(/\]\((DEPLOY\.md)?#([^)\s]+)/g)];
  expect(links.length).toBeGreaterThan(10);
  for (const [, page, anchor] of links) expect(anchorsOf(page === undefined ? doc : deploy)).toContain(anchor);
});
