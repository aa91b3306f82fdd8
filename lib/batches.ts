import { batchFrame } from './frames';

/**
 * Replies to one connection that go in one frame, where its client reads that: one post for many, where each would wait for
 * the answer to the one before.
 */

export interface Batchable {
  /** JSON text. */
  frame: string;
  /** Whether the client reads it in one frame with others. */
  inBatches?: boolean;
}

export interface Batch<T> {
  /** JSON text, of one reply or of an array of them. */
  frame: string;
  items: [T, ...T[]];
}

/** API Gateway meters what it posts in steps of as much. One reply alone may have more. */
export const maxBatchBytes = 32 * 1024;

/** In their order: neighbours that may go together and fit, and each other one alone. */
export function batchesOf<T extends Batchable>(items: readonly T[]): Batch<T>[] {
  const groups: [T, ...T[]][] = [];
  let bytes = 0;
  for (const item of items) {
    const group = groups.at(-1);
    // The brackets, and a comma before each but the first.
    const size = Buffer.byteLength(item.frame) + 1;
    if (group?.[0].inBatches && item.inBatches && bytes + size <= maxBatchBytes) {
      group.push(item);
      bytes += size;
    } else {
      groups.push([item]);
      bytes = size + 1;
    }
  }
  return groups.map((items) => ({ frame: batchFrame(items.map(({ frame }) => frame)), items }));
}
