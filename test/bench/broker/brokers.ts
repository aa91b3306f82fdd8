import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { listenerPid } from '../process-memory';

/** The brokers that are compared, each a process that the client shares nothing with but the loopback. */

export interface MeasuredBroker {
  readonly name: 'embedded' | 'RabbitMQ';
  readonly url: string;
  /** Undefined where the process cannot be looked into. */
  readonly pid: number | undefined;
  close(): Promise<void>;
}

/** Bundled, as anything that embeds it would be run: a loader of TypeScript would count as memory of the broker. */
export async function startEmbedded(): Promise<MeasuredBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'broker-bench-'));
  const outfile = join(folder, 'broker.cjs');
  await build({ entryPoints: [join(__dirname, 'embedded-process.ts')], bundle: true, platform: 'node', outfile });
  const child: ChildProcess = fork(outfile, { execArgv: [] });
  const [url] = (await once(child, 'message')) as [string];
  return {
    name: 'embedded',
    url,
    pid: pidAt(url),
    async close() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** A RabbitMQ where there is one, and else the embedded broker. */
export async function brokerOf({ amqpUrl }: { amqpUrl: string | undefined }): Promise<MeasuredBroker> {
  return amqpUrl === undefined ? startEmbedded() : rabbitmqAt(amqpUrl);
}

export function rabbitmqAt(url: string): MeasuredBroker {
  return { name: 'RabbitMQ', url, pid: pidAt(url), close: async () => undefined };
}

function pidAt(url: string): number | undefined {
  return listenerPid(Number(new URL(url).port || 5672));
}

/** How long a process that has not started any broker takes to. */
export async function measureStartMs(): Promise<number> {
  const child = fork(join(__dirname, 'start-process.ts'));
  const [milliseconds] = (await once(child, 'message')) as [number];
  await once(child, 'exit');
  return milliseconds;
}
