import { createHash, timingSafeEqual } from 'node:crypto';
import { leaseSeconds } from '../connections';

/**
 * What is known of a session, as one small record that is swapped as a whole, and each change that can befall it, as a pure
 * function to the next record. Replies are numbered 1, 2, 3, ... without a hole. The record lists the pages that hold those
 * that the client has not received; a session that would pass a bound ends instead, and the record keeps the reason.
 */

export interface SessionState {
  /** Public: services know it as the `socket_id`. */
  session: string;
  /** SHA-256, in hex. */
  tokenHash: string;
  /** Of who opened it; nobody else takes it over. */
  userId?: string;
  /** Milliseconds since 1970. */
  openedAt: number;
  /** Seconds since 1970; from then on the session counts as absent. */
  expiresAt: number;
  /** The one connection that holds it. */
  connectionId?: string;
  /** When that connection was opened, milliseconds since 1970. */
  connectedAt?: number;
  /** The connection whose client reads several replies in one frame; of any other it is not known, whoever wrote this. */
  batchesTo?: string;
  /** Connections that lost the session to others and may not know: whoever was to tell them has not caught up. */
  unseated: readonly string[];
  /**
   * Until then (milliseconds since 1970) a function posts to the connection what it has missed, and nobody else posts to it.
   * Where that time passes and this still stands here, the function died in the midst.
   */
  replayUntil?: number;
  lastSeq: number;
  /** The client has all up to here, and the store may forget them. */
  receivedSeq: number;
  /** In order and without a hole: from the one with `receivedSeq + 1` to the one with `lastSeq`. */
  pages: readonly Page[];
  /** Of the latest replies, that of `lastSeq` last; '' where no copy can be told. */
  identities: readonly string[];
  /** Random ids of the latest changes that must not be made twice. */
  changes: readonly string[];
  /** The session is over; the record stays so that whoever asks is told. */
  ended?: EndReason;
}

export interface Page {
  id: string;
  firstSeq: number;
  count: number;
  /** UTF-8, of its frames. */
  bytes: number;
}

/** One whose replies have no numbers yet. */
export type NewPage = Omit<Page, 'firstSeq'>;

export type EndReason = 'too_many_replies' | 'too_many_bytes' | 'too_old' | 'incomplete';
/** `unknown`: no such session, expired, a wrong token, or somebody else's; not told apart. */
export type RefusalReason = EndReason | 'unknown';

/** A connection that opens or claims a session. */
export interface Holder {
  connectionId: string;
  /** Milliseconds since 1970. */
  connectedAt: number;
  userId?: string;
  /** Whether its client reads several replies in one frame. */
  readsBatches?: boolean;
}

export interface NewReply {
  /** JSON text, without seq. */
  frame: string;
  /** The same for all copies of a reply; absent where no copy can be told. */
  identity?: string;
}

/** `copy`: stored before, and not known to be received; `received`: the client has it. */
export interface Numbered {
  seq: number;
  is: 'new' | 'copy' | 'received';
}

export const sessionLimits = {
  /** How long a session outlives its connection. */
  ttlSeconds: 300,
  maxAgeSeconds: 86_400,
  /** Replies that are not received. */
  maxReplies: 1000,
  /** Of the pages that are not wholly received. */
  maxBytes: 1_000_000,
  /** DynamoDB takes 400 KB an item. */
  maxPageBytes: 300_000,
  /** More than a batch of the consumer has, which may come back as a whole. */
  identities: 128,
  /** Of fights that nobody has won yet. */
  unseated: 10,
  /** More than are made between a write without an answer and the look whether it was done. */
  changes: 32,
} as const;

export function isSessionId(text: string): boolean {
  return /^session_[\w-]{22}$/.test(text);
}

export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export function isExpired({ expiresAt }: SessionState, now: number): boolean {
  return now >= expiresAt * 1000;
}

/** When it is too old, milliseconds since 1970. */
export function endsAt({ openedAt }: Pick<SessionState, 'openedAt'>): number {
  return openedAt + sessionLimits.maxAgeSeconds * 1000;
}

/** Why nobody can resume it or add to it any more. */
export function overFor(state: SessionState, now: number): EndReason | undefined {
  return state.ended ?? (now >= endsAt(state) ? 'too_old' : undefined);
}

export function mayClaim(state: SessionState, { userId }: Holder, token: string): boolean {
  const rightToken = timingSafeEqual(Buffer.from(hashOf(token)), Buffer.from(state.tokenHash));
  return rightToken && userId === state.userId;
}

/**
 * Whether its holder was connected after this connection: then this is a claim that is worked off late, by now perhaps
 * of a dead connection of the same client.
 */
export function isHeldByLater(state: SessionState, { connectedAt }: Holder): boolean {
  return (state.connectedAt ?? 0) > connectedAt;
}

/** Whether a function is posting to this very connection, which may ask for a thousand replies by one small frame after another. */
export function isReplayedTo(state: SessionState, { connectionId }: Holder, now: number): boolean {
  return state.connectionId === connectionId && now < (state.replayUntil ?? 0);
}

export function opened(session: string, token: string, holder: Holder, now: number, change: string): SessionState {
  return {
    session,
    tokenHash: hashOf(token),
    ...(holder.userId === undefined ? {} : { userId: holder.userId }),
    openedAt: now,
    expiresAt: lostAfter(holder),
    connectionId: holder.connectionId,
    connectedAt: holder.connectedAt,
    batchesTo: batchesTo(holder),
    unseated: [],
    lastSeq: 0,
    receivedSeq: 0,
    pages: [],
    identities: [],
    changes: [change],
  };
}

export function takenOver(state: SessionState, holder: Holder, replayUntil: number, change: string): SessionState {
  const { connectionId, connectedAt } = holder;
  const before = [...state.unseated, ...(state.connectionId === undefined ? [] : [state.connectionId])];
  const unseated = before.filter((id) => id !== connectionId).slice(-sessionLimits.unseated);
  const changes = withChange(state, change);
  const held = { connectionId, connectedAt, batchesTo: batchesTo(holder), expiresAt: lostAfter(holder) };
  return { ...state, ...held, unseated, replayUntil, changes };
}

export function caughtUp({ replayUntil: _, ...state }: SessionState): SessionState {
  return { ...state, unseated: [] };
}

/** Undefined where the connection is nothing to the session. */
export function detached(state: SessionState, connectionId: string, now: number): SessionState | undefined {
  const { connectionId: holder, connectedAt: _, replayUntil: __, ...rest } = state;
  if (connectionId === holder) return { ...rest, expiresAt: Math.ceil(now / 1000) + sessionLimits.ttlSeconds };
  if (!state.unseated.includes(connectionId)) return undefined;
  return { ...state, unseated: state.unseated.filter((id) => id !== connectionId) };
}

/** Connections to which nobody posts any more, though they may be open: a function that was to see to them has died. */
export function abandoned({ connectionId, replayUntil, unseated }: SessionState, now: number): readonly string[] {
  if (replayUntil === undefined || connectionId === undefined) return unseated;
  return now < replayUntil ? [] : [...unseated, connectionId];
}

export function ended(state: SessionState, reason: EndReason, change: string): SessionState {
  return { ...state, ended: reason, pages: [], identities: [], changes: withChange(state, change) };
}

/**
 * Its time is over, and a reply to it was refused: nobody may resume it now without that reply, though he looked when its
 * time was not over, or has another clock.
 */
export function lapsed({ connectionId: _, connectedAt: __, ...state }: SessionState, change: string): SessionState {
  return ended(state, 'too_old', change);
}

/** The client has all up to `seq`, which is one of the session's. */
export function received(state: SessionState, seq: number): SessionState {
  return { ...state, receivedSeq: seq, pages: state.pages.filter((page) => lastSeqOf(page) > seq) };
}

/** The number of each reply: of a copy that of its original, which may stand before it in the same list. */
export function numbered(state: SessionState, replies: readonly NewReply[]): Numbered[] {
  const firstKnown = state.lastSeq - state.identities.length + 1;
  const seqs = new Map(state.identities.map((identity, index) => [identity, firstKnown + index]));
  let lastSeq = state.lastSeq;
  return replies.map(({ identity = '' }) => {
    const seq = identity === '' ? undefined : seqs.get(identity);
    if (seq !== undefined) return { seq, is: seq > state.receivedSeq ? 'copy' : 'received' };
    lastSeq += 1;
    seqs.set(identity, lastSeq);
    return { seq: lastSeq, is: 'new' };
  });
}

/** The bound that the session would pass with these replies added. */
export function boundPassed(state: SessionState, added: readonly NewReply[]): EndReason | undefined {
  if (state.lastSeq - state.receivedSeq + added.length > sessionLimits.maxReplies) return 'too_many_replies';
  const bytes = added.reduce((sum, { frame }) => sum + Buffer.byteLength(frame), 0);
  const kept = state.pages.reduce((sum, page) => sum + page.bytes, 0);
  return kept + bytes > sessionLimits.maxBytes ? 'too_many_bytes' : undefined;
}

/** @param pages those that hold the replies, in their order. */
export function appended(
  state: SessionState,
  added: readonly NewReply[],
  pages: readonly NewPage[],
  change: string,
): SessionState {
  let { lastSeq } = state;
  const listed = pages.map((page) => {
    const firstSeq = lastSeq + 1;
    lastSeq += page.count;
    return { ...page, firstSeq };
  });
  return {
    ...state,
    lastSeq,
    pages: [...state.pages, ...listed],
    identities: [...state.identities, ...added.map(({ identity = '' }) => identity)].slice(-sessionLimits.identities),
    changes: withChange(state, change),
  };
}

export function lastSeqOf({ firstSeq, count }: Page): number {
  return firstSeq + count - 1;
}

/** Seconds since 1970: where no disconnect is told, the connection's lease ends before. */
function lostAfter({ connectedAt }: Holder): number {
  return Math.ceil(connectedAt / 1000) + leaseSeconds + sessionLimits.ttlSeconds;
}

function batchesTo({ connectionId, readsBatches = false }: Holder): string {
  return readsBatches ? connectionId : '';
}

function withChange({ changes }: SessionState, change: string): readonly string[] {
  return [...changes, change].slice(-sessionLimits.changes);
}
