import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyProject } from '../helpers/project-copy';

/** That the bundles of this project are within their budgets, test/contract/bundles.test.ts says. */
describe('npm run size', () => {
  let project: Awaited<ReturnType<typeof copyProject>>;
  beforeAll(async () => {
    project = await copyProject();
  });
  afterAll(() => project.remove());

  async function sizeWith(change: (budgets: Record<string, number>) => void) {
    const file = join(project.folder, 'infra/size-budget.json');
    const budgets = JSON.parse(await readFile(file, 'utf8'));
    change(budgets);
    await writeFile(file, JSON.stringify(budgets));
    const command = ['--import', 'tsx', 'infra/size.cli.ts', '--json'];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: project.folder, encoding: 'utf8' });
    return {
      status,
      stderr,
      sizes: JSON.parse(stdout) as { name: string; bytes: number; budgetBytes: number | null }[],
    };
  }

  test('fails by what is above its budget, or has none, and tells by how much and of what it is made', async () => {
    const { status, stderr, sizes } = await sizeWith((budgets) => {
      budgets.send = 100;
      delete budgets['late/close'];
    });
    expect(status).toBe(1);
    const send = sizes.find(({ name }) => name === 'send');
    expect(send).toMatchObject({ budgetBytes: 100 });
    const told = stderr.trim().split('\n');
    expect(told).toEqual([
      expect.stringMatching(
        `^send is ${(send?.bytes ?? 0) - 100} bytes above its budget of 0\\.1 KB in infra/size-budget\\.json\\. In KB: amqplib \\d`,
      ),
      'late/close has no budget in infra/size-budget.json.',
    ]);
  });
});
