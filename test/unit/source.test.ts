import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = join(__dirname, '..', '..');
const files = ['functions', 'lib'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file)),
);

describe.each(files)('%s', (file) => {
  const source = readFileSync(join(root, file), 'utf8');

  test('draws no guessable numbers and writes past no log', () => {
    expect(source).not.toMatch(/Math\.random|console\.log/);
  });

  test('has one subject: at most 300 lines', () => {
    expect(source.split('\n').length).toBeLessThanOrEqual(300);
  });
});

test('only compose.ts reads the configuration, and only aws-env.ts what AWS sets', () => {
  const readers = files.filter((file) => /process\.env|readConfig\(\[/.test(readFileSync(join(root, file), 'utf8')));
  expect(readers.sort()).toEqual(['lib/aws-env.ts', 'lib/compose.ts', 'lib/config.ts']);
});
