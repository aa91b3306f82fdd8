import type { ConsumeMessage } from 'amqplib';

/**
 * The event that AWS Lambda gets from an Amazon MQ (RabbitMQ) event source mapping, made from messages of amqplib.
 * The shape is what AWS documents and what its Java client writes through Gson: texts in headers as signed bytes,
 * unset properties as null, times as English text. https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
 */

export interface MqEvent {
  eventSource: 'aws:rmq';
  eventSourceArn: string;
  rmqMessagesByQueue: Record<string, MqRecord[]>;
}

export interface MqRecord {
  basicProperties: Record<string, unknown>;
  redelivered: boolean;
  /** Base64. */
  data: string;
}

export function mqEvent(eventSourceArn: string, queue: string, virtualHost: string, records: MqRecord[]): MqEvent {
  return {
    eventSource: 'aws:rmq',
    eventSourceArn,
    rmqMessagesByQueue: { [`${queue}::${virtualHost}`]: records },
  };
}

export function mqRecord({ content, fields, properties }: ConsumeMessage): MqRecord {
  const { headers, timestamp } = properties;
  return {
    basicProperties: {
      contentType: properties.contentType ?? null,
      contentEncoding: properties.contentEncoding ?? null,
      headers: headers === undefined ? null : headerValue(headers),
      deliveryMode: properties.deliveryMode ?? null,
      priority: properties.priority ?? null,
      correlationId: properties.correlationId ?? null,
      replyTo: properties.replyTo ?? null,
      expiration: properties.expiration ?? null,
      messageId: properties.messageId ?? null,
      timestamp: timestamp === undefined ? null : dateText(Number(timestamp)),
      type: properties.type ?? null,
      userId: properties.userId ?? null,
      appId: properties.appId ?? null,
      clusterId: properties.clusterId ?? null,
      bodySize: content.length,
    },
    redelivered: fields.redelivered,
    data: content.toString('base64'),
  };
}

function headerValue(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return { bytes: signedBytes(Buffer.from(value)) };
  if (Buffer.isBuffer(value)) return signedBytes(value);
  if (Array.isArray(value)) return value.map(headerValue);
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object') return value;
  // amqplib marks the field types that JavaScript lacks; a sender's own table may look alike, but not to the end.
  const { '!': type, value: inner } = value as { '!'?: unknown; value?: unknown };
  if (type === 'timestamp' && typeof inner === 'number') return dateText(inner);
  if (type === 'decimal' && isDecimal(inner)) return inner.digits / 10 ** inner.places;
  if (typeof type === 'string' && typeof inner === 'number') return inner;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, headerValue(field)]));
}

function isDecimal(value: unknown): value is { digits: number; places: number } {
  const { digits, places } = (value ?? {}) as { digits?: unknown; places?: unknown };
  return typeof digits === 'number' && typeof places === 'number';
}

/** A Java byte has a sign: 0xC3 is -61. */
function signedBytes(bytes: Buffer): number[] {
  return [...bytes].map((byte) => (byte << 24) >> 24);
}

const dateFormat = new Intl.DateTimeFormat('en-US', {
  timeZone: 'UTC',
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  second: '2-digit',
});

/** As `Jan 1, 1970, 12:33:41 AM`, in UTC; null for a time beyond all calendars, such as one in microseconds. */
function dateText(seconds: number): string | null {
  if (Number.isNaN(new Date(seconds * 1000).getTime())) return null;
  // Newer ICU data has a narrow no-break space before AM.
  return dateFormat.format(new Date(seconds * 1000)).replace(/\u202f/g, ' ');
}
