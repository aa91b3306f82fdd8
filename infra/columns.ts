/**
 * Rows of cells as text in columns, for a person to read. The first so many columns are words and begin at the left; the
 * others are numbers and end at the right.
 */
export function inColumns(rows: readonly (readonly string[])[], words = 1): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const padded = (cell: string, column: number) =>
    column < words ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}
