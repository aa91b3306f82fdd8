import { randomBytes, randomUUID } from 'node:crypto';
import { checkMessage } from './message-schema';
import { buildRequest, type RequestTarget } from './packets';
import type { Publisher } from './publisher';

/** Takes a client's message to the services' queue, under a messageId of the gateway's own. */
export interface Sender {
  /** The messageId, once RabbitMQ has the message in the queue; else a GatewayError. */
  send(message: ClientMessage, deadline: number): Promise<string>;
}

export interface ClientMessage {
  connectionId: string;
  clientId: string | null;
  /** As the client sent it. */
  data: unknown;
}

export function createSender(publisher: Publisher, target: RequestTarget): Sender {
  return {
    async send({ connectionId, clientId, data }, deadline) {
      const messageId = randomUUID();
      const request = {
        messageId,
        connectionId,
        clientId,
        data: checkMessage(data),
        sentAt: Date.now(),
        traceparent: newTraceparent(),
      };
      await publisher.publish(buildRequest(request, target), deadline);
      return messageId;
    },
  };
}

/** A new trace: https://www.w3.org/TR/trace-context/#traceparent-header */
function newTraceparent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}
