import { stringOf, type Table } from './fields';
import type { Message } from './message';
import type { Queue } from './queue';
import { createRouter, type ExchangeType, type RoutedBinding, type Router } from './routing';

/** An exchange: takes messages in and routes them by its bindings to queues and to other exchanges. */

export type Destination = Queue | Exchange;

export interface ExchangeOptions {
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** Only other exchanges may publish to it. */
  readonly internal: boolean;
  readonly arguments: Table;
}

export interface Exchange {
  readonly kind: 'exchange';
  readonly name: string;
  readonly options: ExchangeOptions;
  /** Takes what no binding matches. */
  readonly alternate: string | undefined;
  readonly router: Router<Destination>;
  /** From it, by identity: the same binding made twice is one. */
  readonly outgoing: Map<string, Binding>;
  /** To it, to be undone when it goes. */
  readonly bindings: Set<Binding>;
}

export interface Binding extends RoutedBinding<Destination> {
  readonly id: string;
  readonly source: Exchange;
}

export function createExchange(name: string, options: ExchangeOptions): Exchange {
  return {
    kind: 'exchange',
    name,
    options,
    alternate: stringOf(options.arguments.get('alternate-exchange')),
    router: createRouter<Destination>(options.type),
    outgoing: new Map(),
    bindings: new Set(),
  };
}

/** The queues a message reaches from here, each once. Cycles of exchanges are walked once. */
export function routeFrom(
  start: Exchange,
  message: Pick<Message, 'routingKeys' | 'properties'>,
  exchangeNamed: (name: string) => Exchange | undefined,
): Set<Queue> {
  const queues = new Set<Queue>();
  const visited = new Set<Exchange>([start]);
  // A set is walked in the order of insertion, including what is added on the way.
  for (const exchange of visited) {
    const found = new Set<Destination>();
    exchange.router.match(message.routingKeys, message.properties.headers, found);
    const alternate = found.size === 0 && exchange.alternate ? exchangeNamed(exchange.alternate) : undefined;
    if (alternate !== undefined) visited.add(alternate);
    for (const destination of found) {
      if (destination.kind === 'queue') queues.add(destination);
      else visited.add(destination);
    }
  }
  return queues;
}
