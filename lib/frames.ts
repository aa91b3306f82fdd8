import { type ErrorCode, GatewayError } from './errors';
import { isObject, parseJson } from './json';
import { type RefusalReason, sessionLimits } from './session/state';
import { readTraceparent } from './traceparent';

/**
 * The JSON text frames between a client and the gateway. What a client sends is parsed here once and trusted
 * nowhere before; what it receives is built here and nowhere else. docs/PROTOCOL.md describes each frame.
 */

/** API Gateway closes a connection (1009) above 128 KB a message and refuses a larger post (413). */
export const maxFrameBytes = 128 * 1024;

/** `{"action", "id"?, ...}` from a client; what is unknown is as it was sent, undefined where it was not. */
export interface ClientFrame {
  action: string;
  /** 1-64 printable ASCII characters, chosen by the client; null when it sent none. */
  id: string | null;
  data: unknown;
  /** Of sessions; lib/session/claim.ts reads them. */
  session: unknown;
  token: unknown;
  after: unknown;
  batches: unknown;
  seq: unknown;
  /** A valid one, in version 00. */
  traceparent: string | undefined;
}

export interface AckFrame {
  event: 'ack';
  id?: string;
  messageId: string;
  /** The id was used before in the session: this is no other message. */
  duplicate?: true;
}

/** The connection is in this session from now on. */
export interface SessionFrame {
  event: 'session';
  id?: string;
  session: string;
  /** What a later connection takes the session over with; kept nowhere but with the client. */
  token: string;
  resumed: boolean;
  /** Why the session that was claimed is not resumed. */
  reason?: RefusalReason;
  /** How long the session lasts without a connection. */
  ttlSeconds: number;
  /** Of the last reply that is stored. */
  seq: number;
}

/** The last frame of a connection that has lost its session. */
export interface SessionEndedFrame {
  event: 'session';
  session: string;
  ended: RefusalReason | 'taken_over';
}

export interface PongFrame {
  event: 'pong';
  id?: string;
}

export interface ErrorFrame {
  event: 'error';
  id: string | null;
  code: ErrorCode;
  message: string;
  retryable: boolean;
  /** The reply's own messageId and traceparent and the error as the service gave it, where a service answered with one. */
  messageId?: string;
  traceparent?: string;
  data?: unknown;
}

export interface ReplyFrame {
  event: string;
  id?: string;
  messageId?: string;
  traceparent?: string;
  data: unknown;
}

export type ServerFrame = AckFrame | SessionFrame | SessionEndedFrame | PongFrame | ErrorFrame | ReplyFrame;

/** Names that only the gateway may give to an event: a reply cannot pass for an acknowledgement. */
export const ownEvents: ReadonlySet<string> = new Set(['ack', 'error', 'pong', 'session']);

/**
 * Reads one frame, `body` as API Gateway hands it over (a string; serverless-offline passes binary frames on as
 * bytes). Throws GatewayError `bad_frame`, `too_large` or `unknown_action`.
 */
export function parseFrame(body: unknown): ClientFrame {
  if (typeof body !== 'string') throw new GatewayError('bad_frame', 'Send text frames; binary ones are not read.');
  if (Buffer.byteLength(body) > maxFrameBytes) {
    throw new GatewayError('too_large', `A message may have ${maxFrameBytes} bytes at most.`);
  }
  const json = parseJson(body);
  if (!isObject(json)) {
    throw new GatewayError('bad_frame', 'A frame is a JSON object such as {"action":"send","id":"1","data":{}}.');
  }
  const id = json.id ?? null;
  if (id !== null && !isClientId(id)) {
    throw new GatewayError('bad_frame', 'id must be a string of 1 to 64 printable ASCII characters.');
  }
  if (typeof json.action !== 'string') throw unknownAction(json.action);
  const { action, data, session, token, after, batches, seq } = json;
  return { action, id, data, session, token, after, batches, seq, traceparent: readTraceparent(json.traceparent) };
}

/** The client's id in a body of any quality: errors answer to it whenever it can be read. */
export function idOf(body: unknown): string | null {
  const json = readable(body);
  return isObject(json) && isClientId(json.id) ? json.id : null;
}

/** The traceparent in a body of any quality, in version 00. */
export function traceparentIn(body: unknown): string | undefined {
  const json = readable(body);
  return isObject(json) ? readTraceparent(json.traceparent) : undefined;
}

function readable(body: unknown): unknown {
  return typeof body === 'string' && Buffer.byteLength(body) <= maxFrameBytes ? parseJson(body) : undefined;
}

export function unknownAction(action: unknown): GatewayError {
  return new GatewayError(
    'unknown_action',
    typeof action === 'string'
      ? 'This action is not one of: send, ping, session, received.'
      : 'The frame names no action; set "action" to one of: send, ping, session, received.',
  );
}

export function ackFrame(id: string | null, messageId: string, duplicate = false): AckFrame {
  return { event: 'ack', ...optionalId(id), messageId, ...(duplicate ? { duplicate } : {}) };
}

export interface SessionParts extends Omit<SessionFrame, 'event' | 'id' | 'ttlSeconds'> {
  id: string | null;
}

export function sessionFrame({ id, session, token, resumed, reason, seq }: SessionParts): SessionFrame {
  return {
    event: 'session',
    ...optionalId(id),
    session,
    token,
    resumed,
    ...(reason === undefined ? {} : { reason }),
    ttlSeconds: sessionLimits.ttlSeconds,
    seq,
  };
}

export function sessionEndedFrame(session: string, ended: SessionEndedFrame['ended']): SessionEndedFrame {
  return { event: 'session', session, ended };
}

export function pongFrame(id: string | null): PongFrame {
  return { event: 'pong', ...optionalId(id) };
}

export function errorFrame(id: string | null, error: GatewayError): ErrorFrame {
  return { event: 'error', id, code: error.code, message: error.message, retryable: error.retryable };
}

export interface ReplyParts {
  event: string;
  id: string | null;
  messageId?: string;
  traceparent?: string;
  data: unknown;
}

export function replyFrame({ event, id, messageId, traceparent, data }: ReplyParts): ReplyFrame {
  return {
    event,
    ...optionalId(id),
    ...(messageId === undefined ? {} : { messageId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    data,
  };
}

/**
 * A reply's frame in a session, with its number right after `event`.
 * @param frame JSON text of a frame that begins with its `event`, as all that are built here.
 */
export function withSeq(frame: string, seq: number): string {
  return frame.replace(/^\{"event":"(?:[^"\\]|\\.)*"/, (start) => `${start},"seq":${seq}`);
}

export function isClientId(id: unknown): id is string {
  return typeof id === 'string' && /^[\x20-\x7e]{1,64}$/.test(id);
}

function optionalId(id: string | null): { id?: string } {
  return id === null ? {} : { id };
}
