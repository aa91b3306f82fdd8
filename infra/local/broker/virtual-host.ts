import { randomBytes } from 'node:crypto';
import { createSink, written } from './bytes';
import { deadLetterOf, goesInCircles } from './dead-letter';
import { Deque } from './deque';
import { notFound, resourceLocked } from './errors';
import {
  type Binding,
  createExchange,
  type Destination,
  type Exchange,
  type ExchangeOptions,
  routeFrom,
} from './exchange';
import { type Table, writeTable } from './fields';
import type { Memory } from './memory';
import type { Message } from './message';
import { type DeathReason, Queue, type QueueHost, type QueueOptions } from './queue';
import { checkHeadersArguments, type ExchangeType } from './routing';

/**
 * All exchanges, queues and bindings, by name, and the way of a message through them. Declares, deletes and
 * binds as RabbitMQ does, with its errors; knows nothing of channels and sockets.
 */

// Dead letters may beget dead letters; between so many of them others have their turn.
const LETTERS_PER_TURN = 100;

/** Where a published message went; `rejected` when a full queue refused it. */
export type Outcome = 'routed' | 'unroutable' | 'rejected';

export interface ReplyConsumer {
  deliverReply(message: Message): void;
}

const PREDECLARED: readonly (readonly [name: string, type: ExchangeType, internal?: boolean])[] = [
  ['', 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
  ['amq.rabbitmq.trace', 'topic', true],
];

export class VirtualHost implements QueueHost {
  readonly name: string;
  readonly memory: Memory;
  /** Clients that wait for direct replies, by the name that stands for their queue. */
  readonly replyConsumers = new Map<string, ReplyConsumer>();
  private readonly exchanges = new Map<string, Exchange>();
  private readonly queues = new Map<string, Queue>();
  private readonly letters = new Deque<{ letter: Message; reason: DeathReason }>();
  private delivering = false;

  constructor(name: string, memory: Memory) {
    this.name = name;
    this.memory = memory;
    for (const [exchange, type, internal = false] of PREDECLARED) {
      this.createExchange(exchange, {
        type,
        durable: true,
        autoDelete: false,
        internal,
        arguments: new Map(),
      });
    }
  }

  findExchange(name: string): Exchange | undefined {
    return this.exchanges.get(name);
  }

  exchange(name: string): Exchange {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw notFound('exchange', name, this.name);
    return exchange;
  }

  createExchange(name: string, options: ExchangeOptions): Exchange {
    const exchange = createExchange(name, options);
    this.exchanges.set(name, exchange);
    return exchange;
  }

  removeExchange(exchange: Exchange): void {
    // Those that go with it are added on the way: a chain of them must not become a chain of calls.
    const leaving = [exchange];
    for (const each of leaving) {
      this.exchanges.delete(each.name);
      for (const binding of [...each.outgoing.values()]) unlink(binding);
      for (const binding of [...each.bindings]) {
        unlink(binding);
        if (isAbandoned(binding.source)) leaving.push(binding.source);
      }
    }
  }

  findQueue(name: string): Queue | undefined {
    return this.queues.get(name);
  }

  /** @throws AmqpError 404, or 405 when the queue belongs to another connection than `user` */
  queue(name: string, user: object): Queue {
    const queue = this.queues.get(name);
    if (queue === undefined) throw notFound('queue', name, this.name);
    this.checkAccess(queue, user);
    return queue;
  }

  checkAccess(queue: Queue, user: object): void {
    const { owner } = queue.options;
    if (owner !== undefined && owner !== user) throw resourceLocked(queue.name, this.name);
  }

  createQueue(name: string, options: QueueOptions): Queue {
    const queue = new Queue(name, options, this);
    this.queues.set(name, queue);
    return queue;
  }

  removeQueue(queue: Queue): void {
    if (this.queues.get(queue.name) !== queue) return;
    this.queues.delete(queue.name);
    for (const binding of [...queue.bindings]) this.removeBinding(binding);
    queue.close();
  }

  /** The queues that go with the connection that owns them. */
  removeQueuesOf(owner: object): void {
    for (const queue of [...this.queues.values()]) if (queue.options.owner === owner) this.removeQueue(queue);
  }

  bind(source: Exchange, destination: Destination, routingKey: string, args: Table): void {
    if (source.options.type === 'headers') checkHeadersArguments(args);
    const id = bindingId(destination, routingKey, args);
    if (source.outgoing.has(id)) return;
    const binding: Binding = { id, source, destination, routingKey, arguments: args };
    source.outgoing.set(id, binding);
    source.router.add(binding);
    destination.bindings.add(binding);
  }

  /**
   * Without such a binding nothing happens, whoever asks. @throws AmqpError 405 when the queue belongs to another
   * connection than `user`
   */
  unbind(source: Exchange, destination: Destination, routingKey: string, args: Table, user: object): void {
    const binding = source.outgoing.get(bindingId(destination, routingKey, args));
    if (binding === undefined) return;
    if (destination.kind === 'queue') this.checkAccess(destination, user);
    this.removeBinding(binding);
  }

  /**
   * The queues that a message goes to. Direct replies are on their way with this: they reach no queue, so as in
   * RabbitMQ they wait for no commit, and a mandatory one is delivered and returned.
   */
  route(exchange: Exchange, message: Message): Iterable<Queue> {
    if (exchange.name !== '') return routeFrom(exchange, message, (name) => this.exchanges.get(name));
    if (this.replyConsumers.size > 0) {
      for (const key of new Set(message.routingKeys)) this.replyConsumers.get(key)?.deliverReply(message);
    }
    if (message.routingKeys.length === 1) {
      const queue = this.queues.get(message.routingKeys[0]);
      return queue === undefined ? [] : [queue];
    }
    const queues = new Set<Queue>();
    for (const key of message.routingKeys) {
      const queue = this.queues.get(key);
      if (queue !== undefined) queues.add(queue);
    }
    return queues;
  }

  publish(queues: Iterable<Queue>, message: Message): Outcome {
    const outcome = this.enqueue(queues, message);
    this.deliverLetters();
    return outcome;
  }

  /** Letters wait for the publish they come from to end: a chain of full queues must not become a chain of calls. */
  deadLetter(queue: Queue, message: Message, reason: DeathReason): void {
    const letter = deadLetterOf(queue, message, reason, new Date());
    if (letter === undefined) return;
    this.memory.hold(letter);
    this.letters.push({ letter, reason });
    // Publish delivers what it caused; what a timer or an acknowledgement caused has nobody else to.
    if (this.letters.length === 1 && !this.delivering) setImmediate(() => this.deliverLetters());
  }

  close(): void {
    for (const queue of [...this.queues.values()]) this.removeQueue(queue);
    for (let next = this.letters.shift(); next !== undefined; next = this.letters.shift()) {
      this.memory.release(next.letter);
    }
  }

  private deliverLetters(): void {
    if (this.delivering) return;
    this.delivering = true;
    try {
      for (let count = 0; count < LETTERS_PER_TURN; count += 1) {
        const next = this.letters.shift();
        if (next === undefined) return;
        this.deliverLetter(next);
      }
      setImmediate(() => this.deliverLetters());
    } finally {
      this.delivering = false;
    }
  }

  private deliverLetter({ letter, reason }: { letter: Message; reason: DeathReason }): void {
    const exchange = this.exchanges.get(letter.exchange);
    if (exchange !== undefined) {
      const queues = [...this.route(exchange, letter)];
      this.enqueue(
        queues.filter((queue) => !goesInCircles(letter, reason, queue.name)),
        letter,
      );
    }
    this.memory.release(letter);
  }

  private enqueue(queues: Iterable<Queue>, message: Message): Outcome {
    let outcome: Outcome = 'unroutable';
    for (const queue of queues) {
      const accepted = queue.publish(message) === 'accepted';
      if (!accepted) outcome = 'rejected';
      else if (outcome === 'unroutable') outcome = 'routed';
    }
    return outcome;
  }

  private removeBinding(binding: Binding): void {
    unlink(binding);
    if (isAbandoned(binding.source)) this.removeExchange(binding.source);
  }
}

function unlink(binding: Binding): void {
  const { source, destination } = binding;
  source.outgoing.delete(binding.id);
  source.router.remove(binding);
  destination.bindings.delete(binding);
}

function isAbandoned({ options, outgoing }: Exchange): boolean {
  return options.autoDelete && outgoing.size === 0;
}

/** A name of the server's making, as unguessable as RabbitMQ's. */
export function generatedName(prefix: 'amq.gen' | 'amq.ctag'): string {
  return `${prefix}-${randomBytes(16).toString('base64url')}`;
}

function bindingId(destination: Destination, routingKey: string, args: Table): string {
  const sink = createSink(256);
  writeTable(sink, new Map([...args].sort(([a], [b]) => (a < b ? -1 : 1))));
  return JSON.stringify([destination.kind, destination.name, routingKey, written(sink).toString('base64')]);
}
