import { performance } from 'node:perf_hooks';
import { startBroker } from '../../../infra/local/broker/broker';
import { openRawClient } from './raw-client';

/**
 * Starts a broker in this process, where nothing is warm yet, and says after how many milliseconds a client has a
 * channel.
 */

async function main(): Promise<void> {
  const start = performance.now();
  const broker = await startBroker({ port: 0 });
  const client = await openRawClient(broker.url);
  process.send?.(performance.now() - start);
  await client.close();
  await broker.close();
  process.disconnect();
}

void main();
