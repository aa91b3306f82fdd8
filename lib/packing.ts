import { runsOf } from './runs';

/**
 * Replies as they are posted: several to one connection in one frame, where its client reads that (a `batch` in
 * docs/PROTOCOL.md). They take one post then, where each would wait for the answer to the one before.
 */

export interface Packable {
  /** JSON text. */
  frame: string;
  /** Whether who gets it reads a batch. */
  readsBatches?: boolean;
}

export interface Packed<T> {
  /** JSON text, of one reply or of an array of them. */
  frame: string;
  items: [T, ...T[]];
}

/** API Gateway meters what it posts in steps of as much. One reply alone may have more. */
export const maxBatchBytes = 32 * 1024;

/** In their order: neighbours that may go together and fit, and each other one alone. */
export function pack<T extends Packable>(items: readonly T[]): Packed<T>[] {
  // The brackets of the array, and a comma before each but the first.
  return runsOf(items, maxBatchBytes - 1, sizeInBatch).map(({ items }) => ({ frame: frameOf(items), items }));
}

function sizeInBatch({ frame, readsBatches }: Packable): number {
  return readsBatches ? Buffer.byteLength(frame) + 1 : Number.POSITIVE_INFINITY;
}

function frameOf(items: readonly [Packable, ...Packable[]]): string {
  return items.length === 1 ? items[0].frame : `[${items.map(({ frame }) => frame).join(',')}]`;
}
