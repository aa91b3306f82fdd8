import type { Context } from 'aws-lambda';
import type { Close } from './close';
import { deadlineOf } from './deadline';
import { type GatewayError, toGatewayError } from './errors';
import { errorFrame, idOf, type ServerFrame, traceparentIn, unknownAction } from './frames';
import type { Handshake } from './handshake';
import type { Log } from './log';
import { newMessageId } from './message-id';
import { traceparentOf } from './traceparent';

/**
 * What every WebSocket route has in common: it runs only for its own kind of event, and whatever fails inside becomes
 * an error frame (on a message) or a refusal (on `$connect`), never a throw: API Gateway answers that with a frame of
 * its own that no client of ours knows.
 */

/** The fields of API Gateway's WebSocket event that the gateway reads; serverless-offline sets them all. */
export interface WebSocketEvent extends Handshake {
  requestContext: {
    connectionId: string;
    eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT';
    /** When the WebSocket opened, milliseconds since 1970. */
    connectedAt: number;
    /** What the authorizer found out when the client connected; see principal.ts. */
    authorizer?: unknown;
  };
  /** Text; bytes for a binary frame under serverless-offline. */
  body?: unknown;
}

export interface RouteResponse {
  statusCode: number;
  headers?: Record<string, string>;
  /** A frame for the client (route response); absent where there is nothing to say. */
  body?: string;
}

export type RouteHandler = (event: WebSocketEvent, context: Context) => Promise<RouteResponse>;

/** The frame to send back to a message, which has this messageId from now on; undefined where there is nothing to say. */
type Answer = (
  event: WebSocketEvent,
  deadline: number,
  messageId: string,
) => Promise<ServerFrame | undefined> | ServerFrame | undefined;

interface OnRefusal {
  /** Ends the connection of who is `unauthorized` after the error frame; an answer of the route would come too late. */
  close?: Close | undefined;
  count?(error: GatewayError): void;
}

/** A route for frames. */
export function messageRoute(log: Log, answer: Answer, { close, count }: OnRefusal = {}): RouteHandler {
  return async (event, context) => {
    if (event.requestContext.eventType !== 'MESSAGE') return { statusCode: 400 };
    const deadline = deadlineOf(context);
    const messageId = newMessageId();
    try {
      const frame = await answer(event, deadline, messageId);
      return frame === undefined ? { statusCode: 200 } : respond(frame);
    } catch (thrown) {
      const error = toGatewayError(thrown);
      const { code, cause } = error;
      const { connectionId } = event.requestContext;
      const trail = { connectionId, messageId, traceparent: traceparentOf(messageId, traceparentIn(event.body)) };
      const fields = { ...trail, code, ...(cause === undefined ? {} : { error: cause }) };
      log[code === 'internal' ? 'error' : 'info']('Refused a message', fields);
      count?.(error);
      const refusal = respond(errorFrame(idOf(event.body), error));
      if (code !== 'unauthorized' || close === undefined) return refusal;
      if ((await close(connectionId, refusal.body, deadline)) === 'closed') return { statusCode: 200 };
      log.warn('Failed to close a connection', trail);
      return refusal;
    }
  };
}

/**
 * A route for `$connect` or `$disconnect`; `act` may give headers for the answer. serverless-offline, left to itself, runs
 * it also for a client that merely sends that name as an action: such a frame is answered like any unknown action.
 */
export function lifecycleRoute(
  log: Log,
  eventType: 'CONNECT' | 'DISCONNECT',
  act: (event: WebSocketEvent, deadline: number) => Promise<Record<string, string> | undefined>,
): RouteHandler {
  const refuseAction = messageRoute(log, () => {
    throw unknownAction('');
  });
  return async (event, context) => {
    if (event.requestContext.eventType !== eventType) return refuseAction(event, context);
    try {
      const headers = await act(event, deadlineOf(context));
      return { statusCode: 200, ...(headers === undefined ? {} : { headers }) };
    } catch (error) {
      log.error(`Failed to handle ${eventType}`, { connectionId: event.requestContext.connectionId, error });
      return { statusCode: 503 };
    }
  };
}

function respond(frame: ServerFrame): RouteResponse & { body: string } {
  return { statusCode: 200, body: JSON.stringify(frame) };
}
