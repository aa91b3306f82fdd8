import { createHook } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { startBroker } from '../../../infra/local/broker/broker';

/**
 * A broker in a process of its own, so that all which escapes it can be seen: exceptions, rejections, warnings of
 * its own bugs, and the sockets, timers and bytes that it holds. Takes its memory limit as argument, tells its port, then its state whenever asked.
 */

/** Answered with the state after a garbage collection, or after the broker was closed. */
export type HostRequest = 'state' | 'collect' | 'close';

export interface HostState {
  /** Errors that nobody caught. */
  readonly escaped: readonly string[];
  readonly sockets: number;
  readonly timers: number;
  /** Of messages, as the broker counts them. */
  readonly heldBytes: number;
  /** Of all buffers. */
  readonly bufferBytes: number;
}

const MEMORY_HIGH_WATER_BYTES = Number(process.argv[2]);

const escaped: string[] = [];
for (const event of ['uncaughtException', 'unhandledRejection', 'warning']) {
  process.on(event, (error: Error) => escaped.push(`${event}: ${error.stack}`));
}

const live = { TCPWRAP: new Set<number>(), Timeout: new Set<number>() };
createHook({
  init(id, type) {
    if (type === 'TCPWRAP' || type === 'Timeout') live[type].add(id);
  },
  destroy(id) {
    live.TCPWRAP.delete(id);
    live.Timeout.delete(id);
  },
}).enable();

async function host(): Promise<void> {
  const broker = await startBroker({ port: 0, memoryHighWaterBytes: MEMORY_HIGH_WATER_BYTES });
  process.on('message', async (request: HostRequest) => {
    if (request === 'close') await broker.close();
    // What ended in this turn is told in the next.
    await turn();
    if (request === 'collect') globalThis.gc?.();
    const { arrayBuffers } = process.memoryUsage();
    const state: HostState = {
      escaped,
      sockets: live.TCPWRAP.size,
      timers: live.Timeout.size,
      heldBytes: broker.heldBytes,
      bufferBytes: arrayBuffers,
    };
    process.send?.(state);
  });
  process.on('disconnect', () => process.exit());
  process.send?.(broker.port);
}

void host();
