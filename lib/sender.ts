import type { JsonObject } from './json';
import type { Metrics } from './metrics';
import { buildRequest, type RequestTarget } from './packets';
import type { Publisher } from './publisher';

/** Takes a client's message to the services' queue. */
export interface Sender {
  /** For a message that is about to be sent: it need not wait for the broker then. Never fails. */
  prepare(): void;
  /** Resolves once RabbitMQ has the message in the queue; else rejects with GatewayError. */
  send(message: ClientMessage, deadline: number): Promise<void>;
}

export interface ClientMessage {
  /** The gateway's own. */
  messageId: string;
  traceparent: string;
  /** Where replies go: the connection, or its session. */
  connectionId: string;
  clientId: string | null;
  /** As `checkMessage` gives it. */
  data: JsonObject;
  /** Of the token that the client connected with; absent where none was asked for. */
  userId?: string;
}

export function createSender(publisher: Publisher, target: RequestTarget, metrics: Metrics): Sender {
  return {
    prepare: () => publisher.prepare(),

    async send(message, deadline) {
      const sentAt = Date.now();
      await publisher.publish(buildRequest({ ...message, sentAt }, target), deadline);
      metrics.write({ Sends: 1, ConfirmLatency: [Date.now() - sentAt] });
    },
  };
}
