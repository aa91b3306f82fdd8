import type { Scenario, Script } from '../script';
import { type Plain, typed } from '../values';

/** The arguments of a queue: which values RabbitMQ takes, and what it says of the others. */

type Arguments = { readonly [name: string]: Plain };

const WRONG_TYPES: readonly Plain[] = ['text', true, null, 1.5, [1], { a: 1 }];
const INTEGER_ARGUMENTS = ['x-message-ttl', 'x-expires', 'x-max-length', 'x-max-length-bytes', 'x-max-priority'];
const TEXT_ARGUMENTS = ['x-dead-letter-exchange', 'x-overflow', 'x-queue-mode', 'x-queue-type'];

export const queueArguments: Scenario[] = [
  ...INTEGER_ARGUMENTS.map(
    (name): Scenario => ({
      name: `${name} must be an integer that is in range`,
      run: (script) =>
        declareEach(
          script,
          [...WRONG_TYPES, -1, 0, 255, 256, 315_360_000_000, 315_360_000_001].map((value) => ({ [name]: value })),
        ),
    }),
  ),
  ...TEXT_ARGUMENTS.map(
    (name): Scenario => ({
      name: `${name} must be a text`,
      run: (script) =>
        declareEach(
          script,
          [true, null, 1, [1], { a: 1 }, 'other'].map((value) => ({ [name]: value })),
        ),
    }),
  ),
  {
    name: 'an integer of any size is told with all its digits',
    run: (script) =>
      declareEach(script, [
        { 'x-message-ttl': typed({ type: 'long', value: 2n ** 63n - 1n }) },
        { 'x-max-length': typed({ type: 'long', value: -(2n ** 53n) - 1n }) },
        { 'x-queue-version': typed({ type: 'long', value: 2n ** 53n + 1n }) },
      ]),
  },
  {
    name: 'every type of integer will do',
    run: (script) =>
      declareEach(script, [
        { 'x-max-length': typed({ type: 'byte', value: 7 }) },
        { 'x-max-length': typed({ type: 'unsignedbyte', value: 7 }) },
        { 'x-max-length': typed({ type: 'short', value: 7 }) },
        { 'x-max-length': typed({ type: 'unsignedshort', value: 7 }) },
        { 'x-max-length': typed({ type: 'unsignedint', value: 7 }) },
        { 'x-max-length': typed({ type: 'long', value: 7n }) },
        { 'x-max-length': typed({ type: 'timestamp', value: 7n }) },
        { 'x-max-length': typed({ type: 'float', value: 7 }) },
        { 'x-max-length': typed({ type: 'decimal', value: { places: 0, digits: 7 } }) },
      ]),
  },
  {
    name: 'x-dead-letter-routing-key must be a text beside an exchange',
    run: (script) =>
      declareEach(script, [
        { 'x-dead-letter-routing-key': 'key' },
        { 'x-dead-letter-routing-key': 1 },
        { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': true },
        { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': '' },
        { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'key' },
      ]),
  },
  {
    name: 'x-single-active-consumer must be true or false',
    run: (script) =>
      declareEach(
        script,
        [true, false, 'true', 1, null].map((value) => ({ 'x-single-active-consumer': value })),
      ),
  },
  {
    name: 'x-queue-version is 1 or 2',
    run: (script) =>
      declareEach(
        script,
        [1, 2, 3, 0, '1', true].map((value) => ({ 'x-queue-version': value })),
      ),
  },
  {
    name: 'x-queue-mode is default or lazy',
    follows: '3.10: a queue is lazy if it is asked to be; 3.13 and 4.x: the argument is taken and means nothing',
    run: (script) =>
      declareEach(
        script,
        ['default', 'lazy', 'eager', ''].map((value) => ({ 'x-queue-mode': value })),
      ),
  },
  {
    name: 'x-overflow is one of three',
    run: (script) =>
      declareEach(
        script,
        ['drop-head', 'reject-publish', 'reject-publish-dlx', 'drop-tail', ''].map((value) => ({
          'x-overflow': value,
        })),
      ),
  },
  {
    name: 'a classic queue refuses the arguments of other types of queues',
    run: (script) =>
      declareEach(script, [
        { 'x-delivery-limit': 3 },
        { 'x-dead-letter-strategy': 'at-least-once' },
        { 'x-quorum-initial-group-size': 1 },
        { 'x-max-in-memory-length': 1 },
        { 'x-max-in-memory-bytes': 1 },
        { 'x-max-age': '1h' },
        { 'x-stream-max-segment-size-bytes': 1000 },
        { 'x-initial-cluster-size': 1 },
      ]),
  },
  {
    name: 'arguments that RabbitMQ does not know, and those of other plugins and releases, are taken',
    run: (script) =>
      declareEach(script, [
        { 'x-mine': 'anything', other: [1, { deep: null }] },
        { 'x-ha-policy': 'all' },
        { 'x-message-deduplication': true },
        { 'x-queue-leader-locator': 'client-local' },
        { 'x-queue-leader-locator': 'nowhere' },
        { 'x-queue-leader-locator': 1 },
        { 'x-queue-master-locator': 'min-masters' },
        { 'x-queue-master-locator': 'nowhere' },
        { 'x-queue-master-locator': 1 },
        { 'x-consumer-timeout': 10_000 },
        { 'x-cancel-on-ha-failover': true },
      ]),
  },
  {
    name: 'the first wrong argument is the one that is named',
    run: (script) =>
      declareEach(script, [
        { 'x-max-priority': -1, 'x-max-length': -1, 'x-message-ttl': -1, 'x-expires': 0 },
        { 'x-overflow': 'a', 'x-queue-mode': 'b', 'x-dead-letter-routing-key': 'c', 'x-max-length-bytes': -1 },
        { 'x-single-active-consumer': 1, 'x-queue-version': 9, 'x-queue-mode': 'b', 'x-overflow': 'a' },
        { 'x-delivery-limit': 3, 'x-expires': 0 },
        { 'x-dead-letter-exchange': 1, 'x-delivery-limit': 3 },
        { 'x-queue-type': 'other', 'x-expires': 0 },
      ]),
  },
  {
    name: 'a queue of an unknown type, or of a type that is no text, is refused',
    run: (script) =>
      declareEach(script, [
        { 'x-queue-type': 'wonder' },
        { 'x-queue-type': '' },
        { 'x-queue-type': 5 },
        { 'x-queue-type': 'classic' },
      ]),
  },
  ...(
    [
      ['x-message-ttl', 1000, 2000],
      ['x-expires', 60_000, 70_000],
      ['x-max-length', 3, 4],
      ['x-max-length-bytes', 100, 200],
      ['x-max-priority', 3, 4],
      ['x-dead-letter-exchange', 'one', 'two'],
      ['x-overflow', 'drop-head', 'reject-publish'],
      ['x-single-active-consumer', true, false],
      ['x-queue-mode', 'default', 'lazy'],
      ['x-queue-version', 1, 2],
      ['x-queue-type', 'classic', 'quorum'],
      ['x-mine', 1, 2],
    ] as const
  ).map(
    ([name, value, other]): Scenario => ({
      name: `a queue declared again must have the same ${name}`,
      async run(script) {
        await declareAgain(script, { [name]: value }, [{ [name]: value }, { [name]: other }, {}]);
        await declareAgain(script, {}, [{ [name]: value }]);
      },
    }),
  ),
  {
    name: 'a queue declared again must have the same x-dead-letter-routing-key',
    run: (script) =>
      declareAgain(script, { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': 'k' }, [
        { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': 'k' },
        { 'x-dead-letter-exchange': 'x', 'x-dead-letter-routing-key': 'other' },
        { 'x-dead-letter-exchange': 'x' },
        {},
      ]),
  },
  {
    name: 'the same number in another type is the same argument',
    run: (script) =>
      declareAgain(script, { 'x-max-length': 7 }, [
        { 'x-max-length': typed({ type: 'byte', value: 7 }) },
        { 'x-max-length': typed({ type: 'long', value: 7n }) },
        { 'x-max-length': typed({ type: 'unsignedshort', value: 7 }) },
        { 'x-max-length': typed({ type: 'double', value: 7 }) },
        { 'x-max-length': '7' },
        { 'x-max-length': typed({ type: 'long', value: 8n }) },
      ]),
  },
  {
    name: 'an argument of the wrong type in another declaration is told as a difference',
    run: (script) =>
      declareAgain(script, { 'x-max-length': 7, 'x-dead-letter-exchange': 'x' }, [
        { 'x-max-length': true, 'x-dead-letter-exchange': 'x' },
        { 'x-max-length': null, 'x-dead-letter-exchange': 'x' },
        { 'x-max-length': -1, 'x-dead-letter-exchange': 'x' },
        { 'x-max-length': 7, 'x-dead-letter-exchange': 7 },
        { 'x-max-length': 7, 'x-dead-letter-exchange': 'x', 'x-overflow': 5 },
        { 'x-max-length': 7, 'x-dead-letter-exchange': 'x', 'x-delivery-limit': 5 },
      ]),
  },
  {
    name: 'of several arguments that differ the first in RabbitMQ’s order is named',
    run: (script) =>
      declareAgain(script, { 'x-max-length': 7, 'x-message-ttl': 60_000, 'x-max-priority': 3, 'x-expires': 60_000 }, [
        { 'x-max-priority': 4, 'x-max-length': 8, 'x-message-ttl': 70_000, 'x-expires': 70_000 },
        { 'x-max-priority': 4, 'x-max-length': 8, 'x-message-ttl': 70_000, 'x-expires': 60_000 },
        { 'x-max-priority': 4, 'x-max-length': 8, 'x-message-ttl': 60_000, 'x-expires': 60_000 },
        { 'x-overflow': 'drop-head', 'x-queue-version': 1, 'x-queue-mode': 'lazy' },
      ]),
  },
];

/** Each as a queue of its own, on a channel of its own: a refusal closes it. */
async function declareEach(script: Script, tables: readonly Arguments[]): Promise<void> {
  const connection = await script.connect();
  for (const [index, table] of tables.entries()) {
    const channel = await connection.channel(index + 1);
    await channel.call('queue.declare', { queue: script.name(`q${index + 1}`), exclusive: true, arguments: table });
  }
}

async function declareAgain(script: Script, table: Arguments, others: readonly Arguments[]): Promise<void> {
  const connection = await script.connect();
  const queue = script.name(`q${Object.keys(table).length}`);
  for (const [index, each] of [table, ...others].entries()) {
    const channel = await connection.channel(index + 1);
    await channel.call('queue.declare', { queue, durable: true, arguments: each });
  }
}
