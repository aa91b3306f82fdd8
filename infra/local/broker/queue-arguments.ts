import { erlangTerm } from './erlang-term';
import { preconditionFailed } from './errors';
import { type FieldValue, integerOf, sameValue, stringOf, type Table } from './fields';
import { expiryProblem } from './message';
import { CLASSIC, QUEUE_TYPES, type QueueType } from './queue-type';

/** The x-arguments of a queue: checked as RabbitMQ checks them, with its words, and read into settings. */

export interface QueueSettings {
  readonly type: QueueType;
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
  /** How often a message of a quorum queue may come back. */
  readonly deliveryLimit: number | undefined;
}

// A routing key travels in a short string. RabbitMQ takes longer ones here and cannot deliver the letters.
const MAX_KEY_BYTES = 255;

type Check = (value: FieldValue, args: Table) => string | undefined;

// In the order in which RabbitMQ checks them. A check is made for the types of queues that list the argument
// (queue-type.ts); what a type lists and is not here may have any value.
const CHECKS: Readonly<Record<string, Check>> = {
  'x-expires': (value) => integerProblem(value, (n) => (n === 0n ? '{value_zero,0}' : expiryProblem(n))),
  'x-message-ttl': (value) => integerProblem(value, expiryProblem),
  'x-dead-letter-routing-key': (value, args) =>
    typeProblem(value, 'longstr') ??
    (Buffer.byteLength(String(value.value)) > MAX_KEY_BYTES ? 'too_long' : undefined) ??
    (args.has('x-dead-letter-exchange') ? undefined : 'routing_key_but_no_dlx_defined'),
  'x-dead-letter-strategy': (value) =>
    typeProblem(value, 'longstr') ?? (STRATEGIES.has(String(value.value)) ? undefined : 'invalid_dlx_strategy'),
  'x-max-length': (value) => integerProblem(value, negativeProblem),
  'x-max-length-bytes': (value) => integerProblem(value, negativeProblem),
  'x-max-in-memory-length': (value) => integerProblem(value, negativeProblem),
  'x-max-in-memory-bytes': (value) => integerProblem(value, negativeProblem),
  'x-max-priority': (value) =>
    integerProblem(value, (n) => negativeProblem(n) ?? (n > 255n ? `{max_value_exceeded,${n}}` : undefined)),
  'x-overflow': (value) =>
    typeProblem(value, 'longstr') ?? (OVERFLOWS.has(String(value.value)) ? undefined : 'invalid_overflow'),
  'x-queue-mode': (value) =>
    typeProblem(value, 'longstr') ??
    (value.value === 'default' || value.value === 'lazy' ? undefined : `"unsupported queue mode '${value.value}'"`),
  'x-queue-version': (value) =>
    integerProblem(
      value,
      (n) => negativeProblem(n) ?? (n === 1n || n === 2n ? undefined : `"unsupported queue version '${n}'"`),
    ),
  'x-single-active-consumer': (value) => typeProblem(value, 'bool'),
  'x-queue-type': (value) => typeProblem(value, 'longstr') ?? queueTypeProblem(String(value.value)),
  'x-quorum-initial-group-size': (value) =>
    integerProblem(value, (n) => (n === 0n ? '{value_zero,0}' : negativeProblem(n))),
  'x-queue-leader-locator': (value) =>
    typeProblem(value, 'longstr') ?? (LOCATORS.has(String(value.value)) ? undefined : 'invalid_queue_locator_arg'),
};

// Arguments that mean something to some type of queue, if only to streams.
const KNOWN: ReadonlySet<string> = new Set([
  ...[...QUEUE_TYPES.values()].flatMap((type) => type.arguments),
  'x-max-age',
  'x-stream-max-segment-size-bytes',
  'x-initial-cluster-size',
]);

const STRATEGIES: ReadonlySet<string> = new Set(['at-most-once', 'at-least-once']);
const LOCATORS: ReadonlySet<string> = new Set(['client-local', 'balanced', 'random', 'least-leaders']);

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
  const check = (name: string) => {
    const value = args.get(name);
    const problem = value && CHECKS[name]?.(value, args);
    if (problem) throw preconditionFailed(`invalid arg '${name}' ${named}: ${problem}`);
  };
  // The type decides what else may stand there, so it is looked at first.
  check('x-queue-type');
  const type = queueType(args);
  for (const name of Object.keys(CHECKS)) if (type.arguments.includes(name)) check(name);
  for (const name of args.keys()) {
    if (KNOWN.has(name) && !type.arguments.includes(name)) {
      throw preconditionFailed(`invalid arg '${name}' ${named} of queue type ${type.module}`);
    }
  }
}

/** @throws AmqpError 406 when a queue that exists was declared with other arguments. */
export function checkSameQueueArguments(received: Table, current: Table, queue: string, vhost: string): void {
  checkSameArguments(queueType(current).arguments, received, current, `queue '${queue}' in vhost '${vhost}'`);
}

/** @throws AmqpError 406 at the first of the arguments that differs. */
export function checkSameArguments(names: readonly string[], received: Table, current: Table, subject: string): void {
  for (const name of names) {
    const left = received.get(name);
    const right = current.get(name);
    if (left !== undefined && right !== undefined) {
      if (sameArgument(left, right)) continue;
      throw inequivalent(
        name,
        subject,
        left.type === 'void' ? 'none' : `'${erlangTerm(left)}'`,
        `'${erlangTerm(right)}'`,
      );
    }
    const only = left ?? right;
    // A queue without a type is a classic one.
    if (only === undefined || (name === 'x-queue-type' && stringOf(only) === 'classic')) continue;
    const described = `the value '${erlangTerm(only)}' of type '${only.type}'`;
    throw left === undefined
      ? inequivalent(name, subject, 'none', described)
      : inequivalent(name, subject, described, 'none');
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
  const type = queueType(args);
  const limit = args.get('x-delivery-limit');
  const overflow = stringOf(args.get('x-overflow')) ?? 'drop-head';
  return {
    type,
    messageTtlMs: number('x-message-ttl'),
    expiresMs: number('x-expires'),
    maxLength: number('x-max-length') ?? Number.POSITIVE_INFINITY,
    maxBytes: number('x-max-length-bytes') ?? Number.POSITIVE_INFINITY,
    overflow: (type.overflows.includes(overflow) ? overflow : 'drop-head') as QueueSettings['overflow'],
    deadLetterExchange: stringOf(args.get('x-dead-letter-exchange')),
    deadLetterRoutingKey: stringOf(args.get('x-dead-letter-routing-key')),
    maxPriority: number('x-max-priority') ?? 0,
    singleActiveConsumer: args.get('x-single-active-consumer')?.value === true,
    // RabbitMQ takes anything for a limit; what is no number is never reached.
    deliveryLimit: limit && (integerOf(limit) ?? Number.POSITIVE_INFINITY),
  };
}

/** Without a type, or with one that does not exist, it is a classic one. */
export function queueType(args: Table): QueueType {
  return QUEUE_TYPES.get(stringOf(args.get('x-queue-type')) ?? '') ?? CLASSIC;
}

export function integerProblem(
  value: FieldValue,
  check: (integer: bigint) => string | undefined = () => undefined,
): string | undefined {
  const integer = integerOf(value);
  // The value itself, because the words of an error have every digit of it.
  return integer === undefined
    ? `"expected integer, got ${value.type}"`
    : check(BigInt(value.value as number | bigint));
}

function queueTypeProblem(name: string): string | undefined {
  if (QUEUE_TYPES.has(name)) return undefined;
  return name === 'stream' ? '"this broker has no streams"' : `"unsupported queue type '${name}'"`;
}

function typeProblem(value: FieldValue, type: FieldValue['type']): string | undefined {
  return value.type === type ? undefined : `{unacceptable_type,${value.type}}`;
}

function negativeProblem(integer: bigint): string | undefined {
  return integer < 0 ? `{value_negative,${integer}}` : undefined;
}

/** An integer of any width is the same, but 7.0 is not 7. */
function sameArgument(left: FieldValue, right: FieldValue): boolean {
  return isFloat(left) === isFloat(right) && sameValue(left, right);
}

function isFloat({ type }: FieldValue): boolean {
  return type === 'float' || type === 'double';
}

function inequivalent(name: string, subject: string, received: string, current: string) {
  return preconditionFailed(
    `inequivalent arg '${name}' for ${subject}: received ${received} but current is ${current}`,
  );
}
