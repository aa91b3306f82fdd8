import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { alarms } from '../../infra/aws/alarms';
import { parameterNames } from '../../infra/parameter-schemas';
import { parametersOf as read, usualTexts } from '../helpers/parameters';

const root = join(__dirname, '..', '..');
const doc = readFileSync(join(root, 'docs', 'DEPLOY.md'), 'utf8');
const jwt = { jwtIssuer: 'https://id.test/', jwtAudience: 'gate', jwksUrl: 'https://id.test/jwks' };

/** The cells of the table that follows a heading or a text, the rule under its head left out. */
function table(after: string): string[][] {
  const [, rest = ''] = doc.split(after);
  const [rows = ''] = rest.slice(rest.indexOf('\n|')).trimStart().split('\n\n');
  const cells = rows.split('\n').map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return cells.filter((_, line) => line !== 1);
}

describe('the table of parameters in DEPLOY.md', () => {
  const [, ...rows] = table('\n## Parameters\n');
  const names = rows.map(([name = '']) => name.replaceAll('`', ''));

  test('has a row for each parameter, and serverless.yml hands on each', () => {
    expect(names.toSorted()).toEqual(parameterNames.toSorted());
    expect(Object.keys(usualTexts()).toSorted()).toEqual(parameterNames.toSorted());
  });

  test.each(['dev', 'prod'])('tells the defaults of the stage %s', (stage) => {
    const documented = rows.map(([name = '', byDefault = '']) => {
      const [, everywhere = '', onProd = everywhere] = /^`([^`]+)`(?:, prod `([^`]+)`)?$/.exec(byDefault) ?? [];
      return [name.replaceAll('`', ''), stage === 'prod' ? onProd : everywhere];
    });
    const given = stage === 'prod' ? jwt : {};
    const { brokerConnections, sendConcurrency, ...told } = Object.fromEntries(documented);
    const byDefault = read(given, stage);
    expect(read({ ...told, ...given }, stage)).toEqual(byDefault);
    expect(sendConcurrency).toBe(String(byDefault.sendConcurrency));
    // Nothing but what depends on the stage or on another parameter is left to the code.
    const fixed = Object.entries(usualTexts()).filter(([, text]) => text !== '');
    expect(told).toMatchObject(Object.fromEntries(fixed));
  });
});

describe('the arithmetic of DEPLOY.md', () => {
  const idle = table('**An idle stage**');
  const busy = table('\nAnd a month of it');
  const column = (rows: string[][], number: number) => rows.slice(1).map((row) => row[number] ?? '');
  const amount = (cell: string) => Number(/([\d.]+)\D*$/.exec(cell.replaceAll(',', ''))?.[1] ?? 0);

  test.each([
    ['an idle dev stage', column(idle, 1)],
    ['an idle prod stage', column(idle, 2)],
    ['a busy month', column(busy, 2)],
  ])('adds up to the cost of %s', (_, cells) => {
    const total = cells.slice(0, -1).reduce((sum, cell) => sum + amount(cell), 0);
    expect(total).toBeGreaterThan(0);
    expect(amount(cells.at(-1) ?? '')).toBeCloseTo(total, 2);
  });

  test.each([
    ['dev', 1, read({}, 'dev')],
    ['prod', 2, read(jwt, 'prod')],
  ] as const)('counts the metrics that alarms watch on an idle %s stage', (_stage, number, parameters) => {
    const told = column(idle, number)[idle.findIndex(([what]) => what?.startsWith('alarms')) - 1];
    const watched = Object.values(alarms(parameters)).flatMap(({ Properties }) =>
      ((Properties?.Metrics ?? []) as { MetricStat?: object }[]).filter(({ MetricStat }) => MetricStat),
    );
    expect(told).toBe(`${watched.length} = ${(watched.length / 10).toFixed(2)}`);
  });
});

test('every link of DEPLOY.md to one of its sections leads there', () => {
  const headings = [...doc.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
  const links = [...doc.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  expect(links.length).toBeGreaterThan(5);
  expect(headings).toEqual(expect.arrayContaining(links));
});
