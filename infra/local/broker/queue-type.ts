import { createMessage, type Message } from './message';
import type { Entry } from './queue';
import type { QueueSettings } from './queue-arguments';

/**
 * The types of queues, and all that sets a quorum queue apart from a classic one. On a single node that is not
 * safety but manners: what may be asked of it, and where messages go that are returned.
 */

export interface QueueType {
  readonly name: 'classic' | 'quorum';
  /** What RabbitMQ's texts call it. */
  readonly module: `rabbit_${string}`;
  /** The arguments it takes, in the order in which RabbitMQ compares them. */
  readonly arguments: readonly string[];
  /** What it can do when it is full; of anything else it does nothing, and drops. */
  readonly overflows: readonly string[];
  readonly refusedConsumerArguments: readonly string[];
  /** Whether it may be transient, exclusive, auto-deleted or named by the server. */
  readonly temporary: boolean;
  /** Whether a consumer can have it alone. */
  readonly exclusiveConsumers: boolean;
  /** Whether the prefetch of a whole channel limits it. */
  readonly channelPrefetch: boolean;
  /** Whether it can be deleted on the condition that it is unused or empty. */
  readonly conditionalDelete: boolean;
  /** With a single active consumer: whether others may fetch by basic.get. */
  readonly getBesideActive: boolean;
  /** Whether what remains after a basic.get with acknowledgement counts messages that have expired and not gone yet. */
  readonly getCountsExpired: boolean;
  /** With a single active consumer: whether the next one is the highest in priority or the first that came. */
  readonly activeByPriority: boolean;
  /** Messages lie in lanes, and leave from the highest one that has any. */
  lanes(settings: QueueSettings): number;
  laneOf(message: Message, settings: QueueSettings): number;
  /** The way of a message that has come back once more. */
  wayBack(entry: Entry, cause: ReturnCause, settings: QueueSettings): WayBack;
  /** Whether a queue with an overflow of reject-publish refuses the message. */
  refuses(bodyBytes: number, load: Load, settings: QueueSettings): boolean;
  /** The message as the client is to see it. */
  delivered(entry: Entry, by: 'consume' | 'get'): Message;
}

/** `abandoned`: the channel that held the message ended. */
export type ReturnCause = 'requeued' | 'abandoned';

/** `place`: to where it stood. `front`: behind those that came back before, before all others. */
type WayBack = 'place' | 'front' | 'back' | 'dead';

/** What lies in a queue ready, and whether it refused the message before. */
interface Load {
  readonly count: number;
  readonly bytes: number;
  readonly refused: boolean;
}

export const CLASSIC: QueueType = {
  name: 'classic',
  module: 'rabbit_classic_queue',
  arguments: [
    'x-expires',
    'x-message-ttl',
    'x-dead-letter-exchange',
    'x-dead-letter-routing-key',
    'x-max-length',
    'x-max-length-bytes',
    'x-max-priority',
    'x-overflow',
    'x-queue-mode',
    'x-queue-version',
    'x-single-active-consumer',
    'x-queue-type',
    'x-queue-master-locator',
  ],
  overflows: ['drop-head', 'reject-publish', 'reject-publish-dlx'],
  refusedConsumerArguments: ['x-stream-offset'],
  temporary: true,
  exclusiveConsumers: true,
  channelPrefetch: true,
  conditionalDelete: true,
  getBesideActive: true,
  getCountsExpired: false,
  activeByPriority: true,
  lanes: ({ maxPriority }) => maxPriority + 1,
  laneOf: ({ properties }, { maxPriority }) => Math.min(properties.priority ?? 0, maxPriority),
  wayBack: () => 'place',
  refuses: (bodyBytes, { count, bytes }, { maxLength, maxBytes }) =>
    count + 1 > maxLength || bytes + bodyBytes > maxBytes,
  delivered: ({ message }) => message,
};

/** The lane of what is at the front of a quorum queue because it came back. */
export const RETURNED = 1;

// Once it refuses, it takes messages again below this share of its limits.
const REOPENS_AT = 0.8;

export const QUORUM: QueueType = {
  name: 'quorum',
  module: 'rabbit_quorum_queue',
  arguments: [
    'x-dead-letter-exchange',
    'x-dead-letter-routing-key',
    'x-dead-letter-strategy',
    'x-expires',
    'x-max-length',
    'x-max-length-bytes',
    'x-max-in-memory-length',
    'x-max-in-memory-bytes',
    'x-overflow',
    'x-single-active-consumer',
    'x-queue-type',
    'x-quorum-initial-group-size',
    'x-delivery-limit',
    'x-message-ttl',
    'x-queue-leader-locator',
  ],
  overflows: ['drop-head', 'reject-publish'],
  refusedConsumerArguments: ['x-cancel-on-ha-failover', 'x-stream-offset'],
  temporary: false,
  exclusiveConsumers: false,
  channelPrefetch: false,
  conditionalDelete: false,
  getBesideActive: false,
  getCountsExpired: true,
  activeByPriority: false,
  lanes: () => RETURNED + 1,
  laneOf: () => 0,
  // Without a limit on returns, what a consumer does not want goes to the end: it must not keep the others waiting
  // for ever.
  wayBack({ returns }, cause, { deliveryLimit }) {
    if (deliveryLimit !== undefined && returns > deliveryLimit) return 'dead';
    return deliveryLimit === undefined && cause === 'requeued' ? 'back' : 'front';
  },
  // It takes the message that fills it over its limit, and tells publishers then.
  refuses: (_bodyBytes, { count, bytes, refused }, { maxLength, maxBytes }) =>
    count > maxLength ||
    bytes > maxBytes ||
    (refused && (count > Math.floor(maxLength * REOPENS_AT) || bytes > Math.floor(maxBytes * REOPENS_AT))),
  delivered({ message, returns }, by) {
    // A consumer is told from the second delivery on, basic.get always.
    if (by === 'consume' && returns === 0) return message;
    const { exchange, routingKeys, properties, body } = message;
    const headers = new Map(properties.headers);
    headers.set('x-delivery-count', { type: 'long', value: BigInt(returns) });
    const sorted = new Map([...headers].sort(([a], [b]) => (a < b ? -1 : 1)));
    return createMessage(exchange, routingKeys, { ...properties, headers: sorted }, body);
  },
};

export const QUEUE_TYPES: ReadonlyMap<string, QueueType> = new Map(
  [CLASSIC, QUORUM].map((type) => [type.name, type] as const),
);
