/** The AMQP message as the gateway's own modules pass it on, independent of the client library. */

/** Properties of AMQP 0-9-1's basic class that the gateway reads or writes; absent means unset. */
export interface Properties {
  contentType?: string;
  contentEncoding?: string;
  headers?: Record<string, unknown>;
  deliveryMode?: number;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  /** Milliseconds, as text. */
  expiration?: string;
  messageId?: string;
  /** Seconds since 1970. */
  timestamp?: number;
  type?: string;
  userId?: string;
  appId?: string;
}

/** A message to publish to the default exchange. */
export interface OutgoingMessage {
  queue: string;
  body: Buffer;
  properties: Properties;
}

/** A message that a consumer was given. */
export interface Delivery {
  queue: string;
  body: Buffer;
  properties: Properties;
  redelivered: boolean;
}
