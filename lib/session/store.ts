import type { SessionState } from './state';

/**
 * Where sessions are kept: one small record for each, swapped as a whole, and beside it pages of replies, each written
 * once. A page counts only once a saved record lists it; what no record lists is never looked at, and expires.
 */
export interface SessionStore {
  /** Consistent: what was saved before is seen. Also finds what has expired and is not deleted yet. */
  load(session: string): Promise<{ state: SessionState; version: number } | undefined>;
  /** Writes `version + 1` if `version` is what is stored (0: nothing is). Where it rejects, it may be written or not. */
  save(state: SessionState, version: number): Promise<'saved' | 'conflict'>;
  /** @param frames JSON texts, `sessionLimits.maxPageBytes` at most. @param expiresAt seconds since 1970. */
  putPage(session: string, pageId: string, frames: readonly string[], expiresAt: number): Promise<void>;
  /** Consistent; those that are missing are absent. */
  pages(session: string, pageIds: readonly string[]): Promise<Map<string, readonly string[]>>;
  /** What it could not delete expires. */
  deletePages(session: string, pageIds: readonly string[]): Promise<void>;
}
