import type { Packaged } from './package';
import { rules } from './rules';

/** One line a combination, so that a person sees what was checked. */
export function summary(all: readonly Packaged[]): string {
  const rows = all.map((packaged) => [
    packaged.combination.name,
    String(Object.keys(packaged.template.Resources).length),
    (Buffer.byteLength(JSON.stringify(packaged.template)) / 1000).toFixed(0),
    String(Object.values(rules).flatMap((rule) => rule(packaged)).length),
  ]);
  const table = [['deployment', 'resources', 'KB', 'faults'], ...rows];
  const width = Math.max(...table.map(([name = '']) => name.length));
  const lines = table.map(
    ([name = '', ...numbers]) => name.padEnd(width) + numbers.map((number) => number.padStart(11)).join(''),
  );
  return `\n${lines.join('\n')}\n${Object.keys(rules).length} rules each.\n`;
}
