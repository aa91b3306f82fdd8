import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { slots } from '../../lib/slots';
import { awsEnvironment, type FunctionOptions, inherited, keepLog, type LogLine } from './function-process';
import { root } from './stack';

/**
 * A bundled function as AWS runs it: under AWS's own runtime client (npm's aws-lambda-ric), which fetches its events from
 * a Runtime API that this module plays. One event at a time for each process, a few processes where several events are
 * under way, and every process frozen from its answer to its next event.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export interface LambdaFunction {
  /** Rejects when the function throws, when its time is over, and when the process ends. */
  invoke(event: unknown): Promise<unknown>;
  /** How many processes there were. */
  readonly starts: number;
  /** How many of them ended by themselves. */
  readonly crashes: number;
  /** What they logged. */
  readonly log: readonly LogLine[];
  /** SIGKILL to every process; resolves when they have ended. */
  kill(): Promise<void>;
}

interface Invocation {
  id: string;
  event: unknown;
  deadlineMs: number;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Instance {
  child: ChildProcess;
  api: Server;
  /** The request of the process for its next event. */
  asking: ServerResponse | undefined;
  invocation: Invocation | undefined;
}

/** The folder of an installed aws-lambda-ric, which must be built and is no package of this project. */
export const runtimeClient = process.env.TEST_LAMBDA_RIC || undefined;

const mostProcesses = 6;

/** @param name of a function that `buildFunctions` has bundled, such as `send` */
export function lambdaFunction(
  name: string,
  { env, timeoutMs = 10_000, taskRoot = root }: FunctionOptions,
): LambdaFunction {
  const instances = new Set<Instance>();
  const log: LogLine[] = [];
  let starts = 0;
  let crashes = 0;

  const hand = (instance: Instance) => {
    const { asking, invocation, child } = instance;
    if (asking === undefined || invocation === undefined) return;
    instance.asking = undefined;
    child.kill('SIGCONT');
    asking.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': invocation.id,
      'lambda-runtime-deadline-ms': String(invocation.deadlineMs),
      'lambda-runtime-invoked-function-arn': `arn:aws:lambda:us-east-1:123456789012:function:${name}`,
    });
    asking.end(JSON.stringify(invocation.event));
  };
  const start = async (first: Invocation): Promise<void> => {
    const api = createServer(async (request, response) => {
      const path = request.url ?? '';
      if (path.endsWith('/invocation/next')) {
        instance.asking = response;
        if (instance.invocation === undefined) instance.child.kill('SIGSTOP');
        else hand(instance);
        return;
      }
      const body = await text(request);
      response.writeHead(202).end();
      const { invocation } = instance;
      if (invocation === undefined || !path.includes(invocation.id)) return;
      instance.invocation = undefined;
      if (path.endsWith('/response')) invocation.resolve(body === '' ? undefined : JSON.parse(body));
      else invocation.reject(new Error(body));
    });
    api.listen(0, '127.0.0.1');
    await once(api, 'listening');
    starts += 1;
    const child = spawn(process.execPath, [`${runtimeClient}/index.mjs`], {
      cwd: taskRoot,
      env: {
        ...inherited(),
        ...awsEnvironment,
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(api.address() as AddressInfo).port}`,
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: '1',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
        AWS_LAMBDA_LOG_GROUP_NAME: name,
        AWS_LAMBDA_LOG_STREAM_NAME: name,
        LAMBDA_TASK_ROOT: taskRoot,
        _HANDLER: `dist/${name}.handler`,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    keepLog(child, log);
    const instance: Instance = { child, api, asking: undefined, invocation: first };
    instances.add(instance);
    child.once('exit', () => {
      api.close();
      api.closeAllConnections();
      if (instances.delete(instance)) crashes += 1;
      instance.invocation?.reject(new Error(`The process of ${name} ended.`));
    });
  };
  const end = async (instance: Instance) => {
    if (!instances.delete(instance)) return;
    const ended = once(instance.child, 'close');
    instance.child.kill('SIGKILL');
    await ended;
  };

  const invoke = (event: unknown): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        for (const instance of instances) if (instance.invocation === invocation) void end(instance);
      }, timeoutMs);
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          settle(value);
        };
      const invocation: Invocation = {
        id: randomUUID(),
        event,
        deadlineMs: Date.now() + timeoutMs,
        resolve: settled(resolve),
        reject: settled(reject),
      };
      const idle = [...instances].find((instance) => instance.invocation === undefined);
      if (idle === undefined) return void start(invocation).catch(invocation.reject);
      idle.invocation = invocation;
      hand(idle);
    });

  const inTurn = slots(mostProcesses);
  return {
    invoke: (event) => inTurn('first', () => invoke(event)),
    get starts() {
      return starts;
    },
    get crashes() {
      return crashes;
    },
    log,
    kill: async () => void (await Promise.all([...instances].map(end))),
  };
}
