import type { Delivery, OutgoingMessage } from './amqp';
import { type Correlation, decodeCorrelation, encodeCorrelation } from './correlation';
import { GatewayError } from './errors';
import { isClientId, ownEvents } from './frames';
import { isObject, type JsonObject, parseJson } from './json';
import { sentAtOf } from './message-id';
import { replyQueueOf } from './reply-shard';
import { readTraceparent } from './traceparent';

/**
 * The packets between the gateway and the services behind RabbitMQ, wire compatible with NestJS microservices:
 * one request, and three forms of reply. A service needs none of the gateway's code. docs/PROTOCOL.md describes them.
 */

/** What a service is told about the sender; echoed in an event reply, it addresses the reply. */
export interface Metadata {
  socket_id: string;
  websocket_service: 'ws-gateway';
  message_id: string;
  client_id?: string;
  user_id?: string;
}

/** `event`: one way, replies are events. `rpc`: the body carries Nest's `id`, so that a Nest handler's return value is the reply. */
export type RequestStyle = 'event' | 'rpc';

export interface Request {
  messageId: string;
  connectionId: string;
  clientId: string | null;
  /** Who sent it, as the client's token says; absent where no token was asked for. */
  userId?: string;
  data: JsonObject;
  /** Milliseconds since 1970. */
  sentAt: number;
  traceparent: string;
}

/** Where requests go and replies come back. */
export interface RequestTarget {
  apiQueue: string;
  /** One of them for each connection. */
  replyQueues: readonly string[];
  style: RequestStyle;
}

/** Where a reply comes from, as far as it says so, even if it can be delivered to nobody. */
export interface Origin {
  messageId?: string;
  /** The messageId of the client's message that it answers. */
  inReplyTo?: string;
  /** The service's own, in version 00. */
  traceparent?: string;
}

/** A reply that names its receiver. */
export interface Reply extends Origin {
  kind: 'reply';
  connectionId: string;
  /** The id that the client gave to the message this answers; null when unknown. */
  clientId: string | null;
  event: string;
  data: unknown;
}

/** A service's refusal (Nest's `err`), on its way to the client as an error frame. */
export interface ServiceError extends Omit<Reply, 'kind' | 'event'> {
  kind: 'serviceError';
}

export type ParsedReply =
  | Reply
  | ServiceError
  /** The end of a Nest response stream: well formed, and nothing to deliver. */
  | ({ kind: 'nothing' } & Origin)
  | ({ kind: 'malformed'; reason: string } & Origin);

/**
 * The request as every service receives it. `metadata` overwrites whatever the client put there, so that nobody
 * can address another's socket. Throws GatewayError `invalid_message` for data that cannot be written as JSON.
 */
export function buildRequest(request: Request, target: RequestTarget): OutgoingMessage {
  const metadata: Metadata = {
    socket_id: request.connectionId,
    websocket_service: 'ws-gateway',
    message_id: request.messageId,
    ...(request.clientId === null ? {} : { client_id: request.clientId }),
    ...(request.userId === undefined ? {} : { user_id: request.userId }),
  };
  const correlationId = encodeCorrelation(request);
  const packet = {
    pattern: { cmd: 'send' },
    data: { ...withoutClientMetadata(request.data), metadata },
    ...(target.style === 'rpc' ? { id: correlationId } : {}),
  };
  return {
    queue: target.apiQueue,
    body: toJson(packet),
    properties: {
      contentType: 'application/json',
      deliveryMode: 2,
      messageId: request.messageId,
      timestamp: Math.floor(request.sentAt / 1000),
      correlationId,
      replyTo: replyQueueOf(request.connectionId, target.replyQueues),
      headers: { traceparent: request.traceparent },
    },
  };
}

/** In no spelling: some readers of JSON do not regard the case of names, and would take a client's for the gateway's. */
function withoutClientMetadata(data: JsonObject): JsonObject {
  const isMetadata = (name: string) => name.toLowerCase() === 'metadata';
  if (!Object.keys(data).some(isMetadata)) return data;
  return Object.fromEntries(Object.entries(data).filter(([name]) => !isMetadata(name)));
}

/** Reads a reply in any of its three forms: Nest event, Nest response, AMQP RPC reply. Never throws. */
export function parseReply(delivery: Delivery): ParsedReply {
  const { messageId, headers, correlationId } = delivery.properties;
  const correlation = decodeCorrelation(correlationId);
  const traceparent = readTraceparent(headers?.traceparent);
  return {
    ...(messageId === undefined ? {} : { messageId }),
    ...inReplyTo(correlation?.messageId),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...parseBody(delivery, correlation),
  };
}

function parseBody({ body, properties }: Delivery, correlation: Correlation | undefined): ParsedReply {
  const text = decodeUtf8(body);
  if (text === undefined) return malformed('the body is not UTF-8');
  const json = parseJson(text);

  const isEvent = isObject(json) && 'pattern' in json && ('data' in json || correlation === undefined);
  if (isEvent) return parseEvent(json, correlation);
  if (correlation === undefined) return malformed('no pattern, and no correlationId of this gateway');
  const claimsJson = /^application\/json\s*(;|$)/.test(properties.contentType ?? '');
  if (json === undefined && claimsJson) return malformed('the body is not JSON');

  if (!isConnectionId(correlation.connectionId)) return malformed('the correlationId names no connection');
  const target = { connectionId: correlation.connectionId, clientId: correlation.clientId };
  if (isObject(json) && isNestResponse(json)) {
    if (hasError(json)) return { kind: 'serviceError', ...target, data: withoutMetadata(json.err) };
    if (!('response' in json)) return { kind: 'nothing' };
    return { kind: 'reply', ...target, event: 'recv', data: withoutMetadata(json.response) };
  }
  return { kind: 'reply', ...target, event: 'recv', data: withoutMetadata(json === undefined ? text : json) };
}

function parseEvent(json: JsonObject, correlation: Correlation | undefined): ParsedReply {
  const event = isObject(json.pattern) ? json.pattern.cmd : json.pattern;
  if (typeof event !== 'string' || event === '') return malformed('the pattern is neither a text nor {"cmd": text}');
  if (ownEvents.has(event)) return malformed(`the pattern "${event}" names an event of the gateway's own`);

  const metadata = metadataOf(json.data);
  const connectionId = metadata?.socket_id ?? correlation?.connectionId;
  if (connectionId === undefined) return malformed('no metadata.socket_id, and no correlationId of this gateway');
  if (!isConnectionId(connectionId)) return malformed('metadata.socket_id is no id of a connection');
  // A service that answers with what a client wrote must not be made to answer another client.
  if (correlation !== undefined && correlation.connectionId !== connectionId) {
    return malformed('metadata.socket_id and the correlationId name different connections');
  }
  return {
    kind: 'reply',
    connectionId,
    clientId: isClientId(metadata?.client_id) ? metadata.client_id : (correlation?.clientId ?? null),
    ...inReplyTo(metadata?.message_id),
    event,
    data: withoutMetadata(json.data),
  };
}

/** Only what is a messageId of the gateway's own making, for it is logged. */
function inReplyTo(messageId: unknown): { inReplyTo?: string } {
  return typeof messageId === 'string' && sentAtOf(messageId) !== undefined ? { inReplyTo: messageId } : {};
}

/** Of API Gateway (base64) or serverless-offline (a UUID): what else there is could leave the path of a post. */
function isConnectionId(text: string): boolean {
  return /^[\w+/=-]{1,128}$/.test(text);
}

/** Nest writes `{response}`, `{response, isDisposed}`, `{isDisposed}`, `{err, isDisposed}` or `{id, err, status}`. */
function isNestResponse(json: JsonObject): boolean {
  const known = ['id', 'response', 'err', 'isDisposed', 'status'];
  return (
    ('response' in json || json.isDisposed === true || hasError(json)) &&
    Object.keys(json).every((key) => known.includes(key))
  );
}

function hasError({ err }: JsonObject): boolean {
  return err !== undefined && err !== null;
}

function metadataOf(data: unknown): (JsonObject & { socket_id: string }) | undefined {
  const metadata = isObject(data) ? data.metadata : undefined;
  return isObject(metadata) && typeof metadata.socket_id === 'string' && metadata.socket_id !== ''
    ? (metadata as JsonObject & { socket_id: string })
    : undefined;
}

/** The gateway's metadata stays inside; a service's own field of that name (without a socket_id) goes through. */
function withoutMetadata(data: unknown): unknown {
  if (!isObject(data) || metadataOf(data) === undefined) return data;
  const { metadata: _, ...rest } = data;
  return rest;
}

function malformed(reason: string): ParsedReply {
  return { kind: 'malformed', reason };
}

function toJson(packet: unknown): Buffer {
  try {
    return Buffer.from(JSON.stringify(packet));
  } catch (cause) {
    // JSON.parse reads deeper nesting than JSON.stringify can write: a RangeError of the stack.
    throw new GatewayError('invalid_message', 'data is nested too deeply.', { cause });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

function decodeUtf8(body: Buffer): string | undefined {
  try {
    return utf8.decode(body);
  } catch {
    return undefined;
  }
}
