import type { Delivery } from './amqp';
import { GatewayError } from './errors';
import { errorFrame, maxFrameBytes, replyFrame, type ServerFrame } from './frames';
import { isObject } from './json';
import { type Origin, parseReply, type Reply, type ServiceError } from './packets';
import { traceparentOf } from './traceparent';

/**
 * What the consumer makes of a reply before anything is posted: a frame for a connection, or a judgement where there is
 * nothing to post. Never throws, whatever a service has sent.
 */

export type Verdict = 'delivered' | 'gone' | 'throttled' | 'too_large' | 'forbidden' | 'malformed';

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
}

export interface Unpostable extends Judgement {
  trail: Trail;
}

export function judge(delivery: Delivery): AddressedFrame | Unpostable {
  const reply = parseReply(delivery);
  const trail = trailOf(reply);
  if (reply.kind === 'malformed') return { verdict: 'malformed', reason: reply.reason, attempts: 0, trail };
  if (reply.kind === 'nothing') return { verdict: 'delivered', attempts: 0, trail };
  const frame = toText(frameOf(reply));
  if (frame === undefined) return { verdict: 'malformed', reason: 'the data is nested too deeply', attempts: 0, trail };
  if (Buffer.byteLength(frame) > maxFrameBytes) {
    return { verdict: 'too_large', reason: `the frame exceeds ${maxFrameBytes} bytes`, attempts: 0, trail };
  }
  return { connectionId: reply.connectionId, frame, trail };
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
