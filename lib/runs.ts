/** Neighbours that go together. */
export interface Run<T> {
  items: [T, ...T[]];
  /** Of all of them. */
  size: number;
}

/** In their order, as many together as have at most this size; one that is larger is alone. */
export function runsOf<T>(items: readonly T[], most: number, sizeOf: (item: T) => number): Run<T>[] {
  const runs: Run<T>[] = [];
  for (const item of items) {
    const run = runs.at(-1);
    const size = sizeOf(item);
    if (run !== undefined && run.size + size <= most) {
      run.items.push(item);
      run.size += size;
    } else {
      runs.push({ items: [item], size });
    }
  }
  return runs;
}
