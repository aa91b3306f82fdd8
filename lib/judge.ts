import type { Delivery } from './amqp';
import { GatewayError } from './errors';
import { errorFrame, maxFrameBytes, replyFrame, type ServerFrame } from './frames';
import { isObject } from './json';
import { newMessageId } from './message-id';
import { type Origin, parseReply, type Reply, type ServiceError } from './packets';
import { digestOf } from './recent';
import { isSessionId } from './session/state';
import { traceparentOf } from './traceparent';

/**
 * What the consumer makes of a reply before anything is stored or posted: a frame for a connection or for a session, or a
 * judgement where there is nothing to deliver. Never throws, whatever a service has sent.
 */

/** `stored`: its session keeps it, for nobody was there to take it. */
export type Verdict = 'delivered' | 'stored' | 'gone' | 'throttled' | 'too_large' | 'forbidden' | 'malformed';

export interface Judgement {
  verdict: Verdict;
  /** Why it is a dead letter. */
  reason?: string;
  /** Posts that were tried. */
  attempts: number;
  /** When API Gateway took it, milliseconds since 1970; absent where there was nothing to post. */
  deliveredAt?: number;
  /** Delivered before, and not posted again. */
  duplicate?: true;
}

/** By what the log can tell a reply. */
export interface Trail {
  messageId: string | undefined;
  inReplyTo: string | undefined;
  /** The service's own; where it passed none on, that of a trace that began with the message it answers. */
  traceparent: string | undefined;
}

export interface AddressedFrame {
  connectionId: string;
  /** JSON text, no larger than API Gateway posts. */
  frame: string;
  trail: Trail;
  /** Of a reply in a session: it is stored there, and its frame has a `seq`. */
  session?: string;
  /** Whether the client of the connection reads several replies in one frame. */
  readsBatches?: boolean;
}

/** For whoever is there for the session once it is stored. */
export interface SessionReply {
  session: string;
  /** JSON text with a `messageId`, no larger than API Gateway posts once it has its `seq`. */
  frame: string;
  /** The same for each copy; absent where the service set no messageId, so that none can be told. */
  identity?: string;
  trail: Trail;
}

export interface Unpostable extends Judgement {
  trail: Trail;
}

export type Judged = AddressedFrame | SessionReply | Unpostable;

/** `,"seq":9007199254740991` */
const longestSeqBytes = 23;

export function judge(delivery: Delivery): Judged {
  const reply = parseReply(delivery);
  const trail = trailOf(reply);
  if (reply.kind === 'malformed') return { verdict: 'malformed', reason: reply.reason, attempts: 0, trail };
  if (reply.kind === 'nothing') return { verdict: 'delivered', attempts: 0, trail };
  const { connectionId } = reply;
  const inSession = isSessionId(connectionId);
  const frame = toText(frameOf(inSession ? { messageId: newMessageId(), ...reply } : reply));
  if (frame === undefined) return { verdict: 'malformed', reason: 'the data is nested too deeply', attempts: 0, trail };
  if (Buffer.byteLength(frame) + (inSession ? longestSeqBytes : 0) > maxFrameBytes) {
    return { verdict: 'too_large', reason: `the frame exceeds ${maxFrameBytes} bytes`, attempts: 0, trail };
  }
  if (!inSession) return { connectionId, frame, trail };
  return { session: connectionId, frame, ...identityOf(frame, trail), trail };
}

export function isForSession(judged: Judged): judged is SessionReply {
  return 'frame' in judged && !('connectionId' in judged);
}

/** 64 bits: copies are looked for among the latest replies of one session. The frame has the messageId in it. */
function identityOf(frame: string, trail: Trail): { identity?: string } {
  if (trail.messageId === undefined) return {};
  return { identity: digestOf({ frame, trail }).subarray(0, 8).toString('base64url') };
}

function trailOf({ messageId, inReplyTo, traceparent }: Origin): Trail {
  const ofTheMessage = inReplyTo === undefined ? undefined : traceparentOf(inReplyTo);
  return { messageId, inReplyTo, traceparent: traceparent ?? ofTheMessage };
}

/** Undefined for data that JSON.parse can read and JSON.stringify cannot write: nested beyond the stack. */
function toText(frame: ServerFrame): string | undefined {
  try {
    return JSON.stringify(frame);
  } catch {
    return undefined;
  }
}

function frameOf(reply: Reply | ServiceError): ServerFrame {
  if (reply.kind === 'reply') return replyFrame({ ...reply, id: reply.clientId });
  const { clientId, messageId, traceparent, data } = reply;
  return {
    ...errorFrame(clientId, new GatewayError('internal', serviceMessage(data))),
    ...(messageId === undefined ? {} : { messageId }),
    ...(traceparent === undefined ? {} : { traceparent }),
    data,
  };
}

/** A service's error is meant for its caller, unlike one of the gateway's own. */
function serviceMessage(error: unknown): string {
  const message = isObject(error) ? error.message : error;
  return typeof message === 'string' && message !== '' ? message : 'The service answered with an error.';
}
