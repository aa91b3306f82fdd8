import type { Context } from 'aws-lambda';
import { deadlineOf } from './deadline';
import { toGatewayError } from './errors';
import { errorFrame, idOf, type ServerFrame, unknownAction } from './frames';
import type { Log } from './log';

/**
 * What every WebSocket route has in common: it runs only for its own kind of event, and whatever fails inside becomes
 * an error frame (on a message) or a refusal (on `$connect`), never a throw: API Gateway answers that with a frame of
 * its own that no client of ours knows.
 */

/** The fields of API Gateway's WebSocket event that the gateway reads; serverless-offline sets them all. */
export interface WebSocketEvent {
  requestContext: {
    connectionId: string;
    eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT';
    /** When the WebSocket opened, milliseconds since 1970. */
    connectedAt: number;
  };
  /** Text; bytes for a binary frame under serverless-offline. */
  body?: unknown;
}

export interface RouteResponse {
  statusCode: number;
  /** A frame for the client (route response); absent where there is nothing to say. */
  body?: string;
}

export type RouteHandler = (event: WebSocketEvent, context: Context) => Promise<RouteResponse>;

/** A route for frames: `answer` gives the frame to send back. */
export function messageRoute(
  log: Log,
  answer: (event: WebSocketEvent, deadline: number) => Promise<ServerFrame> | ServerFrame,
): RouteHandler {
  return async (event, context) => {
    if (event.requestContext.eventType !== 'MESSAGE') return { statusCode: 400 };
    try {
      return respond(await answer(event, deadlineOf(context)));
    } catch (thrown) {
      const error = toGatewayError(thrown);
      const { connectionId } = event.requestContext;
      const fields = {
        connectionId,
        code: error.code,
        ...(error.cause === undefined ? {} : { error: error.cause }),
      };
      log[error.code === 'internal' ? 'error' : 'info']('Refused a message', fields);
      return respond(errorFrame(idOf(event.body), error));
    }
  };
}

/**
 * A route for `$connect` or `$disconnect`. serverless-offline, left to itself, runs it also for a client that merely
 * sends that name as an action: such a frame is answered like any unknown action.
 */
export function lifecycleRoute(
  log: Log,
  eventType: 'CONNECT' | 'DISCONNECT',
  act: (event: WebSocketEvent) => Promise<void>,
): RouteHandler {
  const refuseAction = messageRoute(log, () => {
    throw unknownAction('');
  });
  return async (event, context) => {
    if (event.requestContext.eventType !== eventType) return refuseAction(event, context);
    try {
      await act(event);
      return { statusCode: 200 };
    } catch (error) {
      log.error(`Failed to handle ${eventType}`, { connectionId: event.requestContext.connectionId, error });
      return { statusCode: 503 };
    }
  };
}

function respond(frame: ServerFrame): RouteResponse {
  return { statusCode: 200, body: JSON.stringify(frame) };
}
