/**
 * The correlationId of a request: from it alone the gateway finds the connection and the client's own id again,
 * whatever service echoes it. `gw1:<messageId>:<connectionId>:<client id>`; the client's id stands last because it
 * alone may hold a colon. At most 36 + 64 + the connection's id and 6, well below the 255 bytes of an AMQP short string.
 */

export interface Correlation {
  messageId: string;
  connectionId: string;
  clientId: string | null;
}

const pattern = /^gw1:([^:]+):([^:]+):([\x20-\x7e]{0,64})$/;

export function encodeCorrelation({ messageId, connectionId, clientId }: Correlation): string {
  return `gw1:${messageId}:${connectionId}:${clientId ?? ''}`;
}

/** Undefined for a correlationId that is not the gateway's. */
export function decodeCorrelation(correlationId: string | undefined): Correlation | undefined {
  const [, messageId, connectionId, clientId] = pattern.exec(correlationId ?? '') ?? [];
  if (messageId === undefined || connectionId === undefined) return undefined;
  return { messageId, connectionId, clientId: clientId || null };
}
