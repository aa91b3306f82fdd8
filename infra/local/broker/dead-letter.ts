import { type FieldValue, integerOf, longstr, sameValue, stringOf, type Table } from './fields';
import { createMessage, type Message } from './message';
import type { DeathReason, Queue } from './queue';

/**
 * The letter that a dead message becomes: its own content, with the `x-death` record that RabbitMQ writes.
 */

/** Undefined when the queue has no dead letter exchange. */
export function deadLetterOf(queue: Queue, message: Message, reason: DeathReason, now: Date): Message | undefined {
  const { deadLetterExchange, deadLetterRoutingKey } = queue.settings;
  if (deadLetterExchange === undefined) return undefined;
  const headers = withDeath(message, queue.name, reason, now);
  // A routing key of the queue's replaces all of the message's, copies included.
  if (deadLetterRoutingKey !== undefined) headers.delete('CC');
  // Without this a letter that expired would expire again where it is kept.
  const { expiration: _, ...properties } = message.properties;
  const sorted = new Map([...headers].sort(([a], [b]) => (a < b ? -1 : 1)));
  return createMessage(
    deadLetterExchange,
    deadLetterRoutingKey === undefined ? message.routingKeys : [deadLetterRoutingKey],
    { ...properties, headers: sorted },
    message.body,
  );
}

/**
 * Whether a letter that nobody rejected would be back in a queue where it died: it would go round for ever, so
 * RabbitMQ drops it.
 */
export function goesInCircles(letter: Message, reason: DeathReason, queue: string): boolean {
  if (reason === 'rejected') return false;
  const deaths = deathsIn(letter.properties.headers);
  const last = deaths.findIndex((death) => stringOf(death.get('queue')) === queue);
  return last >= 0 && deaths.slice(0, last + 1).every((death) => stringOf(death.get('reason')) !== 'rejected');
}

function withDeath(message: Message, queue: string, reason: DeathReason, now: Date): Map<string, FieldValue> {
  const headers = new Map(message.properties.headers);
  const death = new Map<string, FieldValue>([
    ['count', { type: 'long', value: 1n }],
    ['reason', longstr(reason)],
    ['queue', longstr(queue)],
    ['time', { type: 'timestamp', value: BigInt(Math.floor(now.getTime() / 1000)) }],
    ['exchange', longstr(message.exchange)],
    ['routing-keys', { type: 'array', value: visibleRoutingKeys(message).map(longstr) }],
  ]);
  const { expiration } = message.properties;
  if (expiration !== undefined) death.set('original-expiration', longstr(expiration));

  const known = headers.get('x-death');
  if (known === undefined) {
    headers.set('x-first-death-reason', longstr(reason));
    headers.set('x-first-death-queue', longstr(queue));
    headers.set('x-first-death-exchange', longstr(message.exchange));
  }
  if (known?.type !== 'array') {
    headers.set('x-death', { type: 'array', value: [{ type: 'table', value: death }] });
    return headers;
  }
  // One record for each queue and reason, the latest first.
  const same = (field: FieldValue): boolean =>
    field.type === 'table' &&
    ['queue', 'reason'].every((name) => {
      const value = field.value.get(name);
      return value !== undefined && sameValue(value, death.get(name) as FieldValue);
    });
  const records = grouped(known.value);
  const before = records.find(same);
  const record = before?.type === 'table' ? countedAgain(before.value) : death;
  const sorted = new Map([...record].sort(([a], [b]) => (a < b ? -1 : 1)));
  const others = records.filter((field) => !same(field));
  headers.set('x-death', { type: 'array', value: [{ type: 'table', value: sorted }, ...others] });
  return headers;
}

/**
 * Several records as RabbitMQ reads them: the first of each queue and reason, in reverse; what has no count gets the
 * number of its like. A single record stays as it is.
 */
function grouped(records: readonly FieldValue[]): readonly FieldValue[] {
  if (records.length < 2) return records;
  const groups = new Map<string, { record: Table; size: number }>();
  for (const field of records) {
    if (field.type !== 'table') continue;
    const key = JSON.stringify([stringOf(field.value.get('queue')), stringOf(field.value.get('reason'))]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { record: field.value, size: 1 });
    else group.size += 1;
  }
  return [...groups.values()].reverse().map(({ record, size }) => {
    const count: FieldValue = { type: 'long', value: BigInt(size) };
    return { type: 'table', value: record.has('count') ? record : new Map([['count', count], ...record]) };
  });
}

function countedAgain(death: Table): Map<string, FieldValue> {
  const count = death.get('count');
  const times = BigInt((count && integerOf(count)) ?? 0) + 1n;
  // The header is the publisher's to write: the largest count there is must not overflow the field.
  return new Map(death).set('count', { type: 'long', value: BigInt.asIntN(64, times) });
}

/** Those of BCC stay hidden from whoever reads the letter. */
function visibleRoutingKeys(message: Message): string[] {
  const copies = message.properties.headers?.get('CC');
  const copied = copies?.type === 'array' ? copies.value.flatMap((item) => stringOf(item) ?? []) : [];
  return [message.routingKeys[0], ...copied];
}

function deathsIn(headers: Table | undefined): Table[] {
  const deaths = headers?.get('x-death');
  return deaths?.type === 'array' ? deaths.value.flatMap((death) => (death.type === 'table' ? death.value : [])) : [];
}
