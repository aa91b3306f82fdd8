import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { inColumns } from '../../infra/columns';
import { runtimeClient } from '../helpers/lambda-runtime';
import type { Row } from './books';

/** Prints the table of all faults, and what was left out. */
export default async function globalTeardown(): Promise<void> {
  const { FAULT_TABLE } = process.env;
  if (FAULT_TABLE !== undefined && existsSync(FAULT_TABLE)) {
    const rows = readFileSync(FAULT_TABLE, 'utf8')
      .trim()
      .split('\n')
      .map((line): Row => JSON.parse(line));
    rows.sort((a, b) => a.broker.localeCompare(b.broker) || a.fault.localeCompare(b.fault));
    process.stdout.write(`\n${table(rows)}\n`);
    rmSync(dirname(FAULT_TABLE), { recursive: true, force: true });
  }
  if (runtimeClient === undefined) {
    process.stderr.write(
      "\nLeft out: the faults under AWS's own runtime client. To run them too: " +
        'TEST_LAMBDA_RIC=$(.ci/lambda-runtime-client) npm run test:faults\n',
    );
  }
  await createRequire(__filename)('../helpers/left-out.cjs')();
}

const columns: { title: string; of: (row: Row) => string | number }[] = [
  { title: 'broker', of: ({ broker }) => broker },
  { title: 'fault', of: ({ fault }) => fault },
  { title: 'messages', of: ({ messages }) => messages },
  { title: 'acked', of: ({ acked }) => acked },
  { title: 'delivered', of: ({ delivered }) => delivered },
  { title: 'dead-lettered', of: ({ deadLettered }) => deadLettered },
  { title: 'gone', of: ({ gone }) => gone },
  { title: 'lost', of: ({ lost }) => lost },
  { title: 'duplicated', of: ({ duplicated }) => duplicated },
];

function table(rows: readonly Row[]): string {
  return inColumns(
    [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ of }) => String(of(row))))],
    2,
  );
}
