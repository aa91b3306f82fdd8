import { preconditionFailed } from './errors';
import { type FieldValue, integerOf, sameValue, stringOf, type Table } from './fields';
import { expiryProblem } from './message';

/** The x-arguments of a queue: checked as RabbitMQ checks them, with its words, and read into settings. */

export interface QueueSettings {
  readonly messageTtlMs: number | undefined;
  /** How long the queue lives unused. */
  readonly expiresMs: number | undefined;
  readonly maxLength: number;
  readonly maxBytes: number;
  readonly overflow: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  readonly deadLetterExchange: string | undefined;
  readonly deadLetterRoutingKey: string | undefined;
  readonly maxPriority: number;
  readonly singleActiveConsumer: boolean;
}

// A routing key travels in a short string. RabbitMQ takes longer ones here and cannot deliver the letters.
const MAX_KEY_BYTES = 255;

type Check = (value: FieldValue, args: Table) => string | undefined;

// In the order in which RabbitMQ compares them. Arguments that are not here are kept and mean nothing.
const CHECKS: Readonly<Record<string, Check>> = {
  'x-expires': (value) => integerProblem(value, (n) => (n === 0 ? '{value_zero,0}' : expiryProblem(n))),
  'x-message-ttl': (value) => integerProblem(value, expiryProblem),
  'x-dead-letter-exchange': () => undefined,
  'x-dead-letter-routing-key': (value, args) =>
    typeProblem(value, 'longstr') ??
    (Buffer.byteLength(String(value.value)) > MAX_KEY_BYTES ? 'too_long' : undefined) ??
    (args.has('x-dead-letter-exchange') ? undefined : 'routing_key_but_no_dlx_defined'),
  'x-max-length': (value) => integerProblem(value, negativeProblem),
  'x-max-length-bytes': (value) => integerProblem(value, negativeProblem),
  'x-max-priority': (value) =>
    integerProblem(value, (n) => negativeProblem(n) ?? (n > 255 ? `{max_value_exceeded,${n}}` : undefined)),
  'x-overflow': (value) =>
    typeProblem(value, 'longstr') ?? (OVERFLOWS.has(String(value.value)) ? undefined : 'invalid_overflow'),
  'x-single-active-consumer': (value) => typeProblem(value, 'bool'),
  'x-queue-type': (value) =>
    typeProblem(value, 'longstr') ??
    (value.value === 'classic' ? undefined : `"unsupported queue type '${value.value}'"`),
  'x-queue-mode': (value) =>
    typeProblem(value, 'longstr') ??
    (value.value === 'default' || value.value === 'lazy' ? undefined : `"unsupported queue mode '${value.value}'"`),
  'x-queue-version': (value) =>
    integerProblem(value, (n) => (n === 1 || n === 2 ? undefined : `"unsupported queue version '${n}'"`)),
};

// Arguments of quorum queues and streams.
const OTHER_TYPES = [
  'x-delivery-limit',
  'x-dead-letter-strategy',
  'x-max-in-memory-length',
  'x-max-in-memory-bytes',
  'x-quorum-initial-group-size',
  'x-max-age',
  'x-stream-max-segment-size-bytes',
  'x-initial-cluster-size',
];

const OVERFLOWS: ReadonlySet<string> = new Set(['drop-head', 'reject-publish', 'reject-publish-dlx']);

/** @throws AmqpError 406 */
export function checkQueueArguments(args: Table, queue: string, vhost: string): void {
  const named = `for queue '${queue}' in vhost '${vhost}'`;
  const exchange = args.get('x-dead-letter-exchange');
  if (exchange !== undefined && exchange.type !== 'longstr') {
    throw preconditionFailed(
      `invalid type '${exchange.type}' for arg 'x-dead-letter-exchange' in queue '${queue}' in vhost '${vhost}'`,
    );
  }
  for (const name of OTHER_TYPES) {
    if (args.has(name)) {
      throw preconditionFailed(`invalid arg '${name}' ${named} of queue type rabbit_classic_queue`);
    }
  }
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = args.get(name);
    const problem = value && check(value, args);
    if (problem) throw preconditionFailed(`invalid arg '${name}' ${named}: ${problem}`);
  }
}

/** @throws AmqpError 406 when a queue that exists was declared with other arguments. */
export function checkSameQueueArguments(received: Table, current: Table, queue: string, vhost: string): void {
  checkSameArguments(Object.keys(CHECKS), received, current, `queue '${queue}' in vhost '${vhost}'`);
}

/** @throws AmqpError 406 at the first of the arguments that differs. */
export function checkSameArguments(names: readonly string[], received: Table, current: Table, subject: string): void {
  for (const name of names) {
    const left = received.get(name);
    const right = current.get(name);
    if (left === undefined && right === undefined) continue;
    if (left !== undefined && right !== undefined) {
      if (sameValue(left, right)) continue;
      throw inequivalent(name, subject, `'${left.value}'`, `'${right.value}'`);
    }
    const described = (field: FieldValue | undefined) =>
      field === undefined ? 'none' : `the value '${field.value}' of type '${field.type}'`;
    throw inequivalent(name, subject, described(left), described(right));
  }
}

/** @throws AmqpError 406 */
export function checkSameFlag(
  name: string,
  received: boolean | string,
  current: boolean | string,
  subject: string,
): void {
  if (received !== current) throw inequivalent(name, subject, `'${received}'`, `'${current}'`);
}

export function queueSettings(args: Table): QueueSettings {
  const number = (name: string): number | undefined => {
    const value = args.get(name);
    return value && integerOf(value);
  };
  return {
    messageTtlMs: number('x-message-ttl'),
    expiresMs: number('x-expires'),
    maxLength: number('x-max-length') ?? Number.POSITIVE_INFINITY,
    maxBytes: number('x-max-length-bytes') ?? Number.POSITIVE_INFINITY,
    overflow: (stringOf(args.get('x-overflow')) ?? 'drop-head') as QueueSettings['overflow'],
    deadLetterExchange: stringOf(args.get('x-dead-letter-exchange')),
    deadLetterRoutingKey: stringOf(args.get('x-dead-letter-routing-key')),
    maxPriority: number('x-max-priority') ?? 0,
    singleActiveConsumer: args.get('x-single-active-consumer')?.value === true,
  };
}

export function integerProblem(
  value: FieldValue,
  check: (integer: number) => string | undefined = () => undefined,
): string | undefined {
  const integer = integerOf(value);
  return integer === undefined ? `"expected integer, got ${value.type}"` : check(integer);
}

function typeProblem(value: FieldValue, type: FieldValue['type']): string | undefined {
  return value.type === type ? undefined : `{unacceptable_type,${value.type}}`;
}

function negativeProblem(integer: number): string | undefined {
  return integer < 0 ? `{value_negative,${integer}}` : undefined;
}

function inequivalent(name: string, subject: string, received: string, current: string) {
  return preconditionFailed(
    `inequivalent arg '${name}' for ${subject}: received ${received} but current is ${current}`,
  );
}
