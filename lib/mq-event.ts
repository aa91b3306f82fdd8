import type { Delivery, Properties } from './amqp';
import { isObject, type JsonObject } from './json';

/**
 * The event that an Amazon MQ (RabbitMQ) event source mapping hands to a Lambda, read into deliveries in their order.
 * Shape: `{rmqMessagesByQueue: {"queue::vhost": [{basicProperties, redelivered, data}]}}`, `data` in base64, texts in
 * headers as `{bytes: [signed bytes]}`, unset properties null, the timestamp as English text.
 * https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html
 */
export function deliveriesOf(event: unknown): Delivery[] {
  const byQueue = isObject(event) ? event.rmqMessagesByQueue : undefined;
  if (!isObject(byQueue)) throw new TypeError('This is not an event of Amazon MQ for RabbitMQ: no rmqMessagesByQueue.');
  return Object.entries(byQueue).flatMap(([key, messages]) => {
    const queue = key.slice(0, key.indexOf('::'));
    return (messages as JsonObject[]).map((message) => ({
      queue,
      body: Buffer.from(String(message.data ?? ''), 'base64'),
      properties: propertiesOf(isObject(message.basicProperties) ? message.basicProperties : {}),
      redelivered: message.redelivered === true,
    }));
  });
}

const texts = [
  'contentType',
  'contentEncoding',
  'correlationId',
  'replyTo',
  'messageId',
  'type',
  'userId',
  'appId',
] as const;
const numbers = ['deliveryMode', 'priority'] as const;

function propertiesOf(basic: JsonObject): Properties {
  const properties: Properties = {};
  for (const name of texts) if (typeof basic[name] === 'string') properties[name] = basic[name];
  for (const name of numbers) if (typeof basic[name] === 'number') properties[name] = basic[name];
  const headers = headersOf(basic.headers);
  if (headers !== undefined) properties.headers = headers;
  // Documented as text; published samples have a number.
  if (typeof basic.expiration === 'string' || typeof basic.expiration === 'number') {
    properties.expiration = String(basic.expiration);
  }
  if (typeof basic.timestamp === 'string') {
    const milliseconds = Date.parse(`${basic.timestamp} UTC`);
    if (!Number.isNaN(milliseconds)) properties.timestamp = milliseconds / 1000;
  }
  return properties;
}

/** Undefined for tables nested beyond the stack, which are lost: a throw would bring the whole batch back for ever. */
function headersOf(headers: unknown): JsonObject | undefined {
  try {
    return isObject(headers) ? (headerValue(headers) as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** A header's value; bytes that are not UTF-8 stay bytes, so that a dead letter carries them unchanged. */
function headerValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(headerValue);
  if (!isObject(value)) return value;
  // A table of a service's may look like a text, but not to the last byte.
  if (Array.isArray(value.bytes) && Object.keys(value).length === 1 && value.bytes.every(isByte)) {
    const bytes = Buffer.from(value.bytes.map((byte) => byte & 0xff));
    const text = bytes.toString('utf8');
    return Buffer.from(text, 'utf8').equals(bytes) ? text : bytes;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, headerValue(inner)]));
}

/** With a sign, as Java has it, or without. */
function isByte(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= -128 && (value as number) <= 255;
}
