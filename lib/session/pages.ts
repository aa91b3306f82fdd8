import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { runsOf } from '../runs';
import { endsAt, lastSeqOf, type NewPage, type NewReply, type SessionState, sessionLimits } from './state';

/**
 * The pages that hold a session's replies. A use case may look several times until its swap holds; it writes the same replies
 * once, and reads a page once.
 */

export interface StoredReply {
  seq: number;
  /** JSON text, without seq. */
  frame: string;
}

/** Nobody reads a page of a session that is too old, but who resumed it at the last moment. */
const graceSeconds = 3600;

/** Every reply after `after` that the session keeps; undefined where one is missing. */
export function pageReader(read: (ids: readonly string[]) => Promise<ReadonlyMap<string, readonly string[]>>) {
  const known = new Map<string, readonly string[]>();
  return async ({ pages }: SessionState, after: number): Promise<StoredReply[] | undefined> => {
    const wanted = pages.filter((page) => lastSeqOf(page) > after);
    const unread = wanted.map(({ id }) => id).filter((id) => !known.has(id));
    if (unread.length > 0) for (const [id, frames] of await read(unread)) known.set(id, frames);
    const replies: StoredReply[] = [];
    for (const { id, firstSeq, count } of wanted) {
      const frames = known.get(id);
      if (frames?.length !== count) return undefined;
      replies.push(...frames.map((frame, index) => ({ seq: firstSeq + index, frame })));
    }
    return replies.filter(({ seq }) => seq > after);
  };
}

/** @param write `expiresAt` in seconds since 1970. */
export function pageWriter(write: (id: string, frames: readonly string[], expiresAt: number) => Promise<void>) {
  let written: { replies: readonly NewReply[]; pages: NewPage[] } = { replies: [], pages: [] };
  return async (state: SessionState, replies: readonly NewReply[]): Promise<readonly NewPage[]> => {
    if (!isDeepStrictEqual(written.replies, replies)) {
      const expiresAt = Math.ceil(endsAt(state) / 1000) + graceSeconds;
      const bytesOf = ({ frame }: NewReply) => Buffer.byteLength(frame);
      const writing = runsOf(replies, sessionLimits.maxPageBytes, bytesOf).map(async ({ items, size }) => {
        const id = randomBytes(9).toString('base64url');
        const frames = items.map(({ frame }) => frame);
        await write(id, frames, expiresAt);
        return { id, count: items.length, bytes: size };
      });
      written = { replies, pages: await Promise.all(writing) };
    }
    return written.pages;
  };
}
