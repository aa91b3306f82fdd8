import { encodeProperties, type Properties } from './codec';
import type { ContentProperties } from './content';
import { preconditionFailed } from './errors';
import { type FieldValue, stringOf } from './fields';

/**
 * A message on its way: where it was published, its properties and body. Immutable but for `holders`, which is
 * Memory's; queues share one among them.
 */

export interface Message {
  readonly exchange: string;
  /** The publisher's key first, then those of the CC and BCC headers. */
  readonly routingKeys: readonly [string, ...string[]];
  readonly properties: Properties;
  /** The same, ready to send. */
  readonly encodedProperties: Buffer;
  readonly body: Buffer;
  /** Counted by `Memory`. */
  holders: number;
}

// What RabbitMQ accepts as an expiration: ten years.
const MAX_EXPIRY_MS = 315_360_000_000n;

/**
 * The message that a client published.
 * @throws AmqpError 406 for properties that RabbitMQ refuses, 541 for those it cannot read
 */
export function receiveMessage(
  exchange: string,
  routingKey: string,
  content: ContentProperties,
  body: Buffer,
  userId: string,
): Message {
  const properties = content.decoded;
  if (properties.userId !== undefined && properties.userId !== userId) {
    throw preconditionFailed(`user_id property set to '${properties.userId}' but authenticated user was '${userId}'`);
  }
  if (properties.expiration !== undefined) checkExpiration(properties.expiration);
  const copies = routingKeysIn(properties, 'CC');
  const blindCopies = routingKeysIn(properties, 'BCC');
  const routingKeys = [routingKey, ...copies, ...blindCopies] as const;
  checkDeliveryMode(properties.deliveryMode);
  if (properties.headers?.has('BCC')) {
    const headers = new Map(properties.headers);
    headers.delete('BCC');
    return createMessage(exchange, routingKeys, { ...properties, headers }, body);
  }
  // The bytes the client sent go on to consumers unchanged, whatever the types in its headers.
  return { exchange, routingKeys, properties, encodedProperties: content.bytes, body, holders: 0 };
}

export function createMessage(
  exchange: string,
  routingKeys: Message['routingKeys'],
  properties: Properties,
  body: Buffer,
): Message {
  return { exchange, routingKeys, properties, encodedProperties: encodeProperties(properties), body, holders: 0 };
}

/** The message's own time to live; undefined when it has none. */
export function expirationMs(message: Message): number | undefined {
  const { expiration } = message.properties;
  return expiration === undefined ? undefined : Number.parseInt(expiration, 10);
}

/** RabbitMQ's word for what is wrong with a time to live; undefined when it is fine. */
export function expiryProblem(milliseconds: bigint): string | undefined {
  if (milliseconds < 0) return `{value_negative,${milliseconds}}`;
  return milliseconds > MAX_EXPIRY_MS ? `{value_too_large,${milliseconds}}` : undefined;
}

function checkDeliveryMode(mode: number | undefined): void {
  if (mode === undefined || mode === 1 || mode === 2) return;
  throw preconditionFailed(`invalid message: {delivery_mode_unknown,${mode}}`);
}

function checkExpiration(expiration: string): void {
  const problem = expirationProblem(expiration);
  if (problem !== undefined) throw preconditionFailed(`invalid expiration '${expiration}': ${problem}`);
}

function expirationProblem(expiration: string): string | undefined {
  const [, digits, leftover] = /^([+-]?\d+)?([\s\S]*)$/.exec(expiration) ?? [];
  if (digits === undefined) return 'no_integer';
  if (leftover) return `{leftover_string,${JSON.stringify(leftover)}}`;
  return expiryProblem(BigInt(digits.replace('+', '')));
}

function routingKeysIn(properties: Properties, name: 'CC' | 'BCC'): string[] {
  const field = properties.headers?.get(name);
  if (field === undefined) return [];
  if (field.type !== 'array') {
    throw preconditionFailed(`invalid message: {unacceptable_type_in_header,"${name}",${field.type}}`);
  }
  return field.value.flatMap((item: FieldValue) => stringOf(item) ?? []);
}
