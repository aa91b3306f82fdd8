import { checkMessage } from './message-schema';
import type { Metrics } from './metrics';
import { buildRequest, type RequestTarget } from './packets';
import type { Publisher } from './publisher';

/** Takes a client's message to the services' queue. */
export interface Sender {
  /** Resolves once RabbitMQ has the message in the queue; else rejects with GatewayError. */
  send(message: ClientMessage, deadline: number): Promise<void>;
}

export interface ClientMessage {
  /** The gateway's own. */
  messageId: string;
  traceparent: string;
  connectionId: string;
  clientId: string | null;
  /** As the client sent it. */
  data: unknown;
  /** Of the token that the client connected with; absent where none was asked for. */
  userId?: string;
}

export function createSender(publisher: Publisher, target: RequestTarget, metrics: Metrics): Sender {
  return {
    async send(message, deadline) {
      const sentAt = Date.now();
      const request = { ...message, data: checkMessage(message.data), sentAt };
      await publisher.publish(buildRequest(request, target), deadline);
      metrics.write({ Sends: 1, ConfirmLatency: [Date.now() - sentAt] });
    },
  };
}
