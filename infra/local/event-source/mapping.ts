import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import { connect } from '../../../lib/amqp-connect';
import { reasonOf } from '../../../lib/reason';
import { Batcher } from './batch';
import { type MqEvent, mqEvent } from './event';
import type { MappingSpec } from './specs';

/**
 * The Amazon MQ event source mapping on a laptop: consumes a queue and invokes a function with batches, one invocation
 * at a time. Success acknowledges the batch; a throw or a timeout returns the whole batch, after a pause, to its place in
 * the queue, marked as redelivered. When the broker goes away, or the queue, it comes back by itself.
 */

export interface MappingOptions {
  /** The broker, with the virtual host unless the mapping names one. */
  url: string;
  /** Runs the function; rejects when it throws or times out. */
  invoke(functionKey: string, event: MqEvent): Promise<unknown>;
  /** One line for the person at the terminal. */
  report(line: string): void;
  /** The pause before a failed batch goes back: doubles with each failure in a row, up to 5 s. */
  backOffMs?: number;
}

export interface RunningMapping {
  /** Lets the invocation under way end, then stops. */
  close(): Promise<void>;
}

const longestBackOffMs = 5000;
/** How long a broker may take to say goodbye. */
const closeMs = 2000;
/** basic.qos takes 16 bits. */
const largestPrefetch = 65_535;

export function startMapping(spec: MappingSpec, options: MappingOptions): RunningMapping {
  const closing = new AbortController();
  const running = consumeUntilClosed(spec, options, closing.signal);
  return {
    async close() {
      closing.abort();
      await running;
    },
  };
}

async function consumeUntilClosed(spec: MappingSpec, options: MappingOptions, signal: AbortSignal): Promise<void> {
  const { report, backOffMs = 250 } = options;
  let failuresInRow = 0;
  let lastLine = '';
  const tell = (line: string) => {
    if (line !== lastLine) report(`${spec.queue} → ${spec.functionKey}: ${line}`);
    lastLine = line;
  };
  const onSuccess = () => {
    if (failuresInRow > 0) tell('works again');
    failuresInRow = 0;
  };
  const pause = async () => {
    const pauseMs = Math.min(backOffMs * 2 ** failuresInRow, longestBackOffMs);
    failuresInRow += 1;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  };
  const onFailure = () => {
    tell('the function failed, its batch goes back to the queue and is tried again');
    return pause();
  };
  while (!signal.aborted) {
    try {
      const end = await consume(spec, options, signal, { onSuccess, onFailure });
      if (end === 'closed' || end === 'failed') continue;
      tell(lines[end]);
    } catch (error) {
      tell(`cannot consume (${reasonOf(error)}), trying again`);
    }
    await pause();
  }
}

type End = 'closed' | 'failed' | 'cancelled' | 'disconnected';

const lines = {
  cancelled: 'the queue was deleted, waiting for it to come back',
  disconnected: 'lost the broker, connecting again',
};

/**
 * One connection's worth of batches. Closing it is what returns messages: the broker puts all that is unacknowledged
 * back to its place, in order, marked as redelivered.
 */
async function consume(
  spec: MappingSpec,
  { url, invoke }: MappingOptions,
  signal: AbortSignal,
  { onSuccess, onFailure }: { onSuccess(): void; onFailure(): Promise<void> },
): Promise<End> {
  const { queue, virtualHost, batchSize, functionKey, eventSourceArn } = spec;
  const batcher = new Batcher(spec);
  let end: End | undefined;
  const stop = (reason: End) => {
    end ??= reason;
    batcher.end();
  };
  const onAbort = () => stop('closed');
  const connection = await connect(withVirtualHost(url, virtualHost), { noDelay: true, timeout: 5000 });
  let channel: Channel | undefined;
  try {
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) return 'closed';
    listenForEnd(connection, stop);
    channel = await connection.createChannel();
    listenForEnd(channel, stop);
    await channel.prefetch(Math.min(batchSize, largestPrefetch));
    await channel.consume(queue, (message) => (message === null ? stop('cancelled') : batcher.push(message)));
    for (let batch = await batcher.take(); batch !== undefined; batch = await batcher.take()) {
      const event = mqEvent(eventSourceArn, queue, virtualHost, batch.records);
      const succeeded = await invoke(functionKey, event).then(
        () => true,
        () => false,
      );
      if (!succeeded) {
        await onFailure();
        return 'failed';
      }
      // Not if the channel has ended meanwhile: the broker has taken the batch back, and gives it out again.
      if (end === undefined || end === 'closed') channel.ack(batch.last, true);
      onSuccess();
    }
    return end ?? 'disconnected';
  } finally {
    signal.removeEventListener('abort', onAbort);
    await Promise.race([closeInOrder(connection, channel), sleep(closeMs, undefined, { ref: false })]);
  }
}

/** The channel first: amqplib may write a connection's close before the acknowledgements of its channels. */
async function closeInOrder(connection: ChannelModel, channel: Channel | undefined): Promise<void> {
  await channel?.close().catch(() => undefined);
  await connection.close().catch(() => undefined);
}

/** Some ends emit only 'close', and an 'error' without a listener would end the process. */
function listenForEnd(emitter: Channel | ChannelModel, stop: (reason: End) => void): void {
  emitter.on('error', () => stop('disconnected'));
  emitter.on('close', () => stop('disconnected'));
}

function withVirtualHost(url: string, virtualHost: string): string {
  const parsed = new URL(url);
  if (virtualHost !== '/') parsed.pathname = `/${encodeURIComponent(virtualHost)}`;
  return parsed.href;
}
