import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, GetMessage } from 'amqplib';
import type { OutgoingMessage, Properties } from '../../lib/amqp';
import { type Broker, LoginError } from '../../lib/credentials';
import { keepable } from '../../lib/dead-letters';
import { dial, loggedIn } from '../../lib/dial';
import type { GatewayError } from '../../lib/errors';
import { AmqpPublisher, type Publisher } from '../../lib/publisher';
import { reasonOf, reasonsOf } from '../../lib/reason';
import { deadLetterQueue } from '../topology';

/**
 * The queue of dead letters, and the way over it from its head. No letter is lost on the way: one is looked at without
 * acknowledgement, and the broker puts it back to its place when the channel closes; it leaves only by a visitor's word.
 *
 * A quorum queue counts every return, and drops what came back more often than its limit (20 on RabbitMQ 4, where no other
 * is set). There a letter is not returned: a copy is laid down, confirmed, and then the letter is acknowledged; and so with
 * all that lie behind it, so that they keep their places.
 */

export interface DeadLetterQueue {
  name: string;
  /** The queue of replies. */
  wsQueue: string;
  connection: ChannelModel;
  /** Rejects once the connection has ended. */
  lost: Promise<never>;
  publisher: Publisher;
  /** Ends a pass after the letter in hand. */
  signal: AbortSignal;
  close(): Promise<void>;
}

export interface Letter {
  /** Its place in the queue, from 1. */
  n: number;
  body: Buffer;
  /** Without what the queue and a pass over it have added. */
  properties: Properties;
}

export interface Passed {
  /** How many letters there were at the start, without those that another consumer held. */
  total: number;
  /** How many were read. */
  seen: number;
}

/** `stop`: it stays, and no other is visited. */
export type Visit = (letter: Letter) => Promise<'stays' | 'leaves' | 'stop'>;

/** A pass that did not come to its end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** How many letters there were at the start. */
  readonly total: number;
  /** The letter of which it is not known whether it still lies in the queue, and only once. */
  readonly inHand: Letter | undefined;

  constructor(reason: string, { total, inHand }: Walk) {
    super(reason);
    this.total = total;
    this.inHand = inHand;
  }
}

interface Walk extends Passed {
  inHand: Letter | undefined;
}

const connectMs = 5000;
/** For one letter to be confirmed. */
const publishMs = 30_000;

/** Rejects when the broker cannot be reached, or it or the secret refuses the login. */
export async function openDeadLetterQueue(
  broker: Broker,
  wsQueue: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<DeadLetterQueue> {
  const connection = await connect(broker);
  const lost = new Promise<never>((_, reject) => {
    const end = (error?: Error) =>
      reject(new Error(`the connection to the broker was lost: ${error ? reasonOf(error) : 'it was closed'}`));
    connection.on('error', end).on('close', end);
  });
  lost.catch(() => undefined);
  const publisher = new AmqpPublisher({
    ...broker,
    attemptMs: publishMs / 2,
    // What lies in the queue, the broker has taken before: only its own limit counts.
    maxMessageBytes: Number.POSITIVE_INFINITY,
  });
  const close = async () => {
    await Promise.allSettled([connection.close(), publisher.close()]);
  };
  return { name: deadLetterQueue(wsQueue), wsQueue, connection, lost, publisher, signal, close };
}

async function connect({ url, credentials }: Broker): Promise<ChannelModel> {
  // What is wrong with the secret is no fault of the broker.
  await credentials.current().catch((cause: unknown) => {
    throw new Error(reasonsOf(cause), { cause });
  });
  try {
    const { connection } = await loggedIn(credentials, (login) =>
      dial({ url, login, openTimeoutMs: connectMs, heartbeatSeconds: 60 }),
    );
    return connection;
  } catch (error) {
    const why =
      error instanceof LoginError ? 'refuses this user and password' : `cannot be reached: ${reasonOf(error)}`;
    throw new Error(`the broker of AMQP_URL ${why}`, { cause: error });
  }
}

/** Visits the letters from the first to `last`. Rejects with Interrupted once it has begun. */
export async function pass(queue: DeadLetterQueue, last: number, visit: Visit): Promise<Passed> {
  const channel = await queue.connection.createChannel();
  channel.on('error', () => undefined);
  const walk: Walk = { total: await lettersIn(channel, queue.name), seen: 0, inHand: undefined };
  const passing = async () => {
    const finished = await walkOver(queue, channel, last, visit, walk);
    // Returns what was not acknowledged; the answer says that the last acknowledgement has arrived.
    await channel.close();
    walk.inHand = undefined;
    if (!finished) throw new Error('interrupted');
  };
  try {
    // In amqplib a get or a close may wait for ever, if the connection ends at the wrong moment.
    await Promise.race([passing(), queue.lost]);
    return walk;
  } catch (error) {
    throw new Interrupted(reasonOf(error), walk);
  }
}

/**
 * The first letters, left where they are, for who looks again and again. Undefined where nothing can be left: a quorum queue
 * counts every look. Only one that is known to be classic, and without arguments of its own, is looked into.
 */
export async function glimpse({ name, connection }: DeadLetterQueue, limit: number): Promise<Letter[] | undefined> {
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  try {
    // Changes nothing where it is classic, and is refused where it is not: the protocol has no other way to ask.
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'classic' } });
  } catch (error) {
    if (![403, 406].includes((error as { code?: number }).code ?? 0)) throw error;
    return undefined;
  }
  const messages = await Promise.all(Array.from({ length: limit }, () => channel.get(name)));
  await channel.close();
  return messages.flatMap((message, n) => (message === false ? [] : letterOf(message, n + 1)));
}

async function lettersIn(channel: Channel, name: string): Promise<number> {
  try {
    return (await channel.checkQueue(name)).messageCount;
  } catch (error) {
    if ((error as { code?: number }).code !== 404) throw error;
    throw new Error(`there is no queue ${name} on this broker; npm run topology declares the gateway's queues`);
  }
}

/** Whether it came to its end; false when it was told to stop. */
async function walkOver(
  { name, signal, publisher }: DeadLetterQueue,
  channel: Channel,
  last: number,
  visit: Visit,
  walk: Walk,
): Promise<boolean> {
  const passId = randomUUID();
  let returnsCount = false;
  let until = last;
  let end = walk.total;
  for (let n = 1; n <= end && (n <= until || returnsCount); n += 1) {
    if (signal.aborted) return false;
    const message = await channel.get(name);
    if (message === false) return true;
    const { headers = {} } = message.properties;
    returnsCount ||= countHeaders.some((header) => Object.hasOwn(headers, header));
    const letter = letterOf(message, n);
    // The letter before it is settled: the broker takes an acknowledgement before it answers to what follows.
    walk.inHand = letter;
    // A copy that this pass laid down comes so early only if somebody else has taken letters: there are no more to visit.
    if (headers[copiedBy] === passId) [until, end] = [0, n];
    else walk.seen = n;
    const fate = n <= until ? await visit(letter) : 'stays';
    if (fate === 'stop') until = n;
    if (fate !== 'leaves') {
      if (!returnsCount) {
        walk.inHand = undefined;
        continue;
      }
      await layDownAnew(letter);
    }
    channel.ack(message);
  }
  return true;

  async function layDownAnew(letter: Letter) {
    try {
      const { properties } = letter;
      const marked = { ...properties, headers: { ...properties.headers, [copiedBy]: passId } };
      await publishCopy(publisher, { ...letter, properties: marked }, name);
    } catch (error) {
      walk.inHand = undefined;
      throw new Error(
        `letter ${letter.n} could not be laid down anew, and the queue counts its return: ${reasonOf(error)}`,
      );
    }
  }
}

/** The headers that quorum queues write: 3.x the first on every get, 4.x once a message came back, 4.3 the second too. */
const countHeaders = ['x-delivery-count', 'x-acquired-count'];

/** Marks the copy of a letter with the pass that laid it down, so that the pass knows its own; never leaves the queue. */
const copiedBy = 'x-copied-by';

function letterOf({ content, properties }: GetMessage, n: number): Letter {
  const { headers = {}, clusterId: _, ...others } = properties;
  const set = Object.entries(others).filter(([, value]) => value !== undefined);
  return {
    n,
    body: content,
    properties: { ...Object.fromEntries(set), headers: without(headers, [...countHeaders, copiedBy]) },
  };
}

/** Resolves once the broker has confirmed it in the queue, persistent; rejects with the reason in an operator's words. */
export async function publishCopy(
  publisher: Publisher,
  { body, properties }: Letter,
  queue: string,
  leftOut: readonly string[] = [],
): Promise<void> {
  const { headers = {}, ...kept } = keepable(properties);
  const copy: OutgoingMessage = {
    queue,
    body,
    properties: { ...kept, headers: without(headers, leftOut), deliveryMode: 2 },
  };
  try {
    await publisher.publish(copy, Date.now() + publishMs);
  } catch (error) {
    const { code, cause } = error as GatewayError;
    if (code === 'unroutable') throw new Error(`there is no queue ${queue}`);
    if (code !== 'unavailable') throw error;
    throw new Error(`not confirmed, though it may be in ${queue} now: ${reasonOf(cause ?? error)}`);
  }
}

function without(headers: Record<string, unknown>, leftOut: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !leftOut.includes(name)));
}
