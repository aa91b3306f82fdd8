import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/**
 * Processes that are measured: plain Node and bundles, with the variables of a deployed function and nothing of the
 * shell that measures. They tell their time and CPU themselves.
 */

export type Measurement = {
  ms: number;
  /** User and system together, microseconds. */
  cpuUs: number;
};

/** What the process is given of the machine, and how much of it its objects take. */
interface Memory {
  rssBytes: number;
  heapBytes: number;
}

/** `[number of the bundle, event]` */
export type Call = readonly [bundle: number, event: unknown];

export interface MeasuredProcess {
  /** One after another, or `atOnce` together and then the next; rejects when one fails or is refused. */
  call(calls: readonly Call[], atOnce?: number): Promise<Measurement>;
  /** The same, of which only counts what is left of it. */
  serve(calls: readonly Call[], atOnce: number): Promise<void>;
  /** After a collection of garbage. */
  memory(): Promise<Memory>;
  close(): Promise<void>;
}

/** A process that stays, with its bundles loaded. */
export async function startMeasured(
  node: string,
  bundles: readonly string[],
  env: Record<string, string>,
  flags: readonly string[] = [],
): Promise<MeasuredProcess> {
  const child = fork(join(__dirname, 'measured.cjs'), [...bundles], {
    execPath: node,
    execArgv: ['--expose-gc', ...flags],
    env,
    // What a function logs is written, and read by nobody.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await answerOf(child);
  return {
    async call(calls, atOnce = 1) {
      child.send({ calls, atOnce, isTimed: true });
      return (await answerOf(child)) as Measurement;
    },
    async serve(calls, atOnce) {
      child.send({ calls, atOnce, isTimed: false });
      await answerOf(child);
    },
    async memory() {
      child.send({});
      return (await answerOf(child)) as Memory;
    },
    async close() {
      if (!child.connected) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

/** From the start of a new process until it has answered its first event. */
export async function coldStart(
  node: string,
  bundle: string,
  event: unknown,
  env: Record<string, string>,
): Promise<Measurement> {
  const child = spawn(node, [join(__dirname, 'cold.cjs'), bundle, JSON.stringify(event)], {
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    timeout: 120_000,
  });
  const told = await text(child.stdio[3] as Readable);
  if (told === '') throw new Error(`A cold process ended without an answer: ${bundle}`);
  const { ms, cpuUs, answer } = JSON.parse(told);
  if (answer !== null && answer.statusCode !== 200) throw new Error(`${bundle} answered ${JSON.stringify(answer)}`);
  return { ms, cpuUs };
}

const noBroker = 'amqp://127.0.0.1:1';

export function functionEnv({ awsUrl, amqpUrl = noBroker, apiQueue = 'api_queue', wsQueue = 'ws_queue' }: FunctionEnv) {
  return {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    // As long as those of Lambda.
    AWS_SESSION_TOKEN: 'x'.repeat(800),
    AWS_ENDPOINT_URL_DYNAMODB: awsUrl,
    MANAGEMENT_ENDPOINT: awsUrl,
    TABLE_NAME: 'ConnectionTable',
    SESSION_TABLE_NAME: 'SessionTable',
    METRICS_NAMESPACE: 'ws-gateway',
    API_QUEUE: apiQueue,
    WS_QUEUE: wsQueue,
    AMQP_URL: amqpUrl,
  };
}

interface FunctionEnv {
  /** Where DynamoDB and @connections are. */
  awsUrl: string;
  /** None: nobody listens there. */
  amqpUrl?: string;
  apiQueue?: string;
  wsQueue?: string;
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController();
  const onExit = () => ended.abort();
  child.once('exit', onExit);
  try {
    const [answer] = await once(child, 'message', { signal: ended.signal });
    return answer;
  } catch {
    throw new Error(`A measured process ended with ${child.exitCode ?? child.signalCode}.`);
  } finally {
    child.off('exit', onExit);
  }
}
