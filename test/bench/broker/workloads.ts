import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import amqp from 'amqplib';
import { ACK_FRAME_BYTES, ackFrames, openRawClient, publishFrames, type RawClient } from './raw-client';

/**
 * What the brokers are put to, one row each. The queue is classic and transient and the messages are not
 * persistent: what both brokers then do is to keep them in memory. Every workload starts on a queue of its own
 * and leaves nothing.
 */

export interface Measurement {
  readonly perSecond: number;
  /** Absent where a message has nothing to wait for. */
  readonly latencyMs?: { readonly p50: number; readonly p99: number };
}

export interface Workload {
  readonly name: string;
  /** What the latency is the time of; undefined where nothing waits for anything. */
  readonly latencyOf: string | undefined;
  /** Whether the client is light enough for the broker's own speed to show. */
  readonly measuresBroker: boolean;
  /** @param whileFull called where the queue holds the most messages */
  run(url: string, whileFull: () => void): Promise<Measurement>;
}

const BODY = Buffer.alloc(100, 'x');
const PREFETCH = 1_000;
const UNDER_WAY = 1_000;

/** @param scale 1 for the full size, less for a quick look */
export function workloads(scale: number): Workload[] {
  const count = (full: number) => Math.max(UNDER_WAY, Math.round(full * scale));
  return [
    {
      name: 'confirmed publishes, 1 in flight',
      latencyOf: 'publish to confirm',
      measuresBroker: true,
      run: (url) => onOwnQueue(url, (client, queue) => publishConfirmed(client, queue, count(10_000), 1)),
    },
    {
      name: 'confirmed publishes, 100 in flight',
      latencyOf: 'publish to confirm',
      measuresBroker: true,
      run: (url) => onOwnQueue(url, (client, queue) => publishConfirmed(client, queue, count(100_000), 100)),
    },
    {
      name: `drain of a full queue, prefetch ${PREFETCH}, acks`,
      latencyOf: 'ack to the delivery it makes room for',
      measuresBroker: true,
      run: (url, whileFull) =>
        onOwnQueue(url, (client, queue) => drain(client, queue, count(100_000), true, whileFull)),
    },
    {
      name: 'drain of a full queue, no acks',
      latencyOf: undefined,
      measuresBroker: true,
      run: (url, whileFull) =>
        onOwnQueue(url, (client, queue) => drain(client, queue, count(100_000), false, whileFull)),
    },
    {
      name: `publish to consume, ${UNDER_WAY} under way`,
      latencyOf: 'publish to delivery',
      measuresBroker: true,
      run: (url) => onOwnQueue(url, (client, queue) => passThrough(url, client, queue, count(100_000))),
    },
    {
      name: 'the same by amqplib, the client being the limit',
      latencyOf: 'publish to delivery',
      measuresBroker: false,
      run: (url) => passThroughAmqplib(url, count(20_000)),
    },
  ];
}

async function onOwnQueue<T>(url: string, work: (client: RawClient, queue: string) => Promise<T>): Promise<T> {
  const client = await openRawClient(url);
  const queue = `bench_${randomBytes(6).toString('hex')}`;
  // Exclusive, so that an interrupted run leaves nothing on a broker that others use.
  const flags = { passive: false, durable: false, exclusive: true, autoDelete: false, nowait: false };
  await client.call('queue.declare', { ticket: 0, queue, ...flags, arguments: new Map() });
  const result = await work(client, queue);
  await client.call('queue.delete', { ticket: 0, queue, ifUnused: false, ifEmpty: false, nowait: false });
  await client.close();
  return result;
}

async function publishConfirmed(
  client: RawClient,
  queue: string,
  count: number,
  inFlight: number,
): Promise<Measurement> {
  await client.call('confirm.select', { nowait: false });
  const one = publishFrames(queue, BODY);
  const many = Buffer.concat(Array.from({ length: inFlight }, () => one));
  const clock = startClock(count);
  let published = 0;
  let firstUnconfirmed = 1;
  const publish = () => {
    const amount = Math.min(inFlight - (published + 1 - firstUnconfirmed), count - published);
    if (amount === 0) return;
    clock.sent(amount);
    published += amount;
    client.write(many.subarray(0, amount * one.length));
  };
  await new Promise<void>((resolve) => {
    client.events = {
      onConfirm(tag) {
        clock.arrived(tag - firstUnconfirmed + 1);
        firstUnconfirmed = tag + 1;
      },
      onReadEnd: () => (firstUnconfirmed > count ? resolve() : publish()),
    };
    publish();
  });
  client.events = {};
  return clock.read();
}

async function drain(
  client: RawClient,
  queue: string,
  count: number,
  acks: boolean,
  whileFull: () => void,
): Promise<Measurement> {
  await publishConfirmed(client, queue, count, UNDER_WAY);
  whileFull();
  const clock = startClock(count);
  clock.sent(PREFETCH);
  await consume(client, queue, count, acks, {
    onDelivered(amount) {
      clock.arrived(amount);
      // What was delivered is acknowledged now, which asks for as many more.
      clock.sent(amount);
    },
  });
  return clock.read(acks);
}

async function passThrough(url: string, consumer: RawClient, queue: string, count: number): Promise<Measurement> {
  const publisher = await openRawClient(url);
  const one = publishFrames(queue, BODY);
  const many = Buffer.concat(Array.from({ length: UNDER_WAY }, () => one));
  const clock = startClock(count);
  let published = 0;
  const publish = (atMost: number) => {
    const amount = Math.min(atMost, count - published);
    clock.sent(amount);
    published += amount;
    publisher.write(many.subarray(0, amount * one.length));
  };
  await consume(consumer, queue, count, true, {
    onStarted: () => publish(UNDER_WAY),
    onDelivered(amount) {
      clock.arrived(amount);
      publish(amount);
    },
  });
  await publisher.close();
  return clock.read();
}

interface ConsumeEvents {
  onStarted?(): void;
  /** So many more messages came in one read. */
  onDelivered(amount: number): void;
}

/** Takes that many messages, and acknowledges each by itself as client libraries do. */
async function consume(
  client: RawClient,
  queue: string,
  count: number,
  acks: boolean,
  events: ConsumeEvents,
): Promise<void> {
  await client.call('basic.qos', { prefetchSize: 0, prefetchCount: PREFETCH, global: false });
  const allAcks = acks ? ackFrames(count) : Buffer.alloc(0);
  let delivered = 0;
  let handled = 0;
  const done = new Promise<void>((resolve) => {
    client.events = {
      onDelivery(tag) {
        delivered = tag;
      },
      onReadEnd() {
        if (delivered === handled) return;
        if (acks) client.write(allAcks.subarray(handled * ACK_FRAME_BYTES, delivered * ACK_FRAME_BYTES));
        events.onDelivered(delivered - handled);
        handled = delivered;
        if (handled === count) resolve();
      },
    };
  });
  const flags = { noLocal: false, noAck: !acks, exclusive: false, nowait: false };
  await client.call('basic.consume', { ticket: 0, queue, consumerTag: 'bench', ...flags, arguments: new Map() });
  events.onStarted?.();
  await done;
  client.events = {};
  // Answered once the acknowledgements before it are handled.
  await client.call('basic.cancel', { consumerTag: 'bench', nowait: false });
}

async function passThroughAmqplib(url: string, count: number): Promise<Measurement> {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.prefetch(PREFETCH);
  const { queue } = await channel.assertQueue('', { durable: false, exclusive: true });
  const clock = startClock(count);
  let published = 0;
  let consumed = 0;
  const publish = () => {
    clock.sent(1);
    published += 1;
    channel.sendToQueue(queue, BODY);
  };
  await new Promise<void>((resolve) => {
    const started = channel.consume(queue, (message) => {
      if (message === null) return;
      channel.ack(message);
      clock.arrived(1);
      consumed += 1;
      if (published < count) publish();
      if (consumed === count) resolve();
    });
    void started.then(() => {
      while (published < Math.min(UNDER_WAY, count)) publish();
    });
  });
  const result = clock.read();
  await channel.close();
  await connection.close();
  return result;
}

/** Times of things that arrive in the order they were sent in. */
function startClock(count: number) {
  const sentAt = new Float64Array(count);
  const waits = new Float64Array(count);
  const start = performance.now();
  let sent = 0;
  let arrived = 0;
  let last = start;
  return {
    /** More than `count` are not noted. */
    sent(amount: number): void {
      sentAt.fill(performance.now(), sent, sent + amount);
      sent += amount;
    },
    arrived(amount: number): void {
      last = performance.now();
      for (const end = arrived + amount; arrived < end; arrived += 1) {
        waits[arrived] = last - (sentAt[arrived] as number);
      }
    },
    read(withLatency = true): Measurement {
      const perSecond = (count / (last - start)) * 1000;
      if (!withLatency) return { perSecond };
      waits.sort();
      const percentile = (share: number) => waits[Math.min(count - 1, Math.floor(count * share))] as number;
      return { perSecond, latencyMs: { p50: percentile(0.5), p99: percentile(0.99) } };
    },
  };
}
