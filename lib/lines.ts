/** What must keep its order among itself, by a key of each, in the order in which the keys come first. */
export function linesOf<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const lines = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const line = lines.get(key);
    if (line === undefined) lines.set(key, [item]);
    else line.push(item);
  }
  return lines;
}
