import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './stack';

/**
 * A bundled function in a process of its own, as Lambda runs it: started with the first event and kept; ended when an
 * event takes longer than its timeout; started anew for the next event after it has ended, whatever ended it. Unlike
 * Lambda it may be given several events at once.
 */
export interface FunctionProcess {
  /** Rejects when the function throws, when its time is over, and when the process ends. */
  invoke(event: unknown): Promise<unknown>;
  /** How many processes there were. */
  readonly starts: number;
  /** How many of them ended by themselves. */
  readonly crashes: number;
  /** How many events it was given. */
  readonly events: number;
  /** Why events failed, in the order in which they did. */
  readonly failures: readonly string[];
  /** Starts the process, if there is none, and resolves when it has loaded the function: the first event is a warm one. */
  warmUp(): Promise<void>;
  /** SIGSTOP, as Lambda freezes a function between two events, and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** SIGTERM; resolves with the exit code, or the signal that ended it. */
  terminate(): Promise<number | NodeJS.Signals | null>;
  /** What it logged. */
  readonly log: readonly LogLine[];
  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
}

export type LogLine = Record<string, unknown> & { level?: string; message?: string };

export interface FunctionOptions {
  env: Record<string, string>;
  timeoutMs?: number;
  /** The folder with `dist/`: this project, or what a zip was unpacked to. */
  taskRoot?: string;
}

/** Lambda gives each event a processor; here hundreds share a few, and an answer within the time may come later. */
const graceMs = 2000;

interface Invocation {
  resolve(result: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

interface Instance {
  child: ChildProcess;
  /** The events it was given. */
  ids: Set<number>;
  ready: Promise<unknown>;
  ended: Promise<number | NodeJS.Signals | null>;
}

/** @param name of a function that `buildFunctions` has bundled, such as `consumer` */
export function functionProcess(
  name: string,
  { env, timeoutMs = 60_000, taskRoot = root }: FunctionOptions,
): FunctionProcess {
  const underWay = new Map<number, Invocation>();
  const log: LogLine[] = [];
  const failures: string[] = [];
  let instance: Instance | undefined;
  let starts = 0;
  let crashes = 0;
  let lastId = 0;

  const settle = (id: number, end: (invocation: Invocation) => void) => {
    const invocation = underWay.get(id);
    if (invocation === undefined) return;
    underWay.delete(id);
    clearTimeout(invocation.timer);
    end(invocation);
  };
  const fail = (id: number, reason: string) => {
    settle(id, ({ reject }) => {
      failures.push(reason);
      reject(new Error(reason));
    });
  };
  const start = (): Instance => {
    starts += 1;
    const child = fork(
      join(root, 'test/helpers/lambda-host.cjs'),
      [join(taskRoot, `dist/${name}.js`), String(timeoutMs)],
      {
        env: { ...inherited(), ...awsEnvironment, ...env },
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    );
    const ids = new Set<number>();
    child.on('message', ({ id, result, error }: { id: number; result?: unknown; error?: string }) => {
      if (error === undefined) settle(id, ({ resolve }) => resolve(result));
      else fail(id, error);
    });
    keepLog(child, log);
    // Unlike at 'exit', its last words have been read.
    const ended = once(child, 'close').then(([code, signal]) => {
      if (instance === started) {
        instance = undefined;
        crashes += 1;
      }
      for (const id of ids) fail(id, `The process of ${name} ended.`);
      return code ?? signal;
    });
    const started: Instance = { child, ids, ready: Promise.race([once(child, 'message'), ended]), ended };
    return started;
  };
  const running = (): Instance => {
    instance ??= start();
    return instance;
  };
  const end = async (signal: NodeJS.Signals) => {
    const ending = instance;
    if (ending === undefined) return null;
    instance = undefined;
    // A frozen process ends by SIGKILL alone.
    ending.child.kill(signal);
    return ending.ended;
  };

  return {
    invoke: (event) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        const id = lastId;
        const { child, ids } = running();
        const timer = setTimeout(() => {
          fail(id, `${name} timed out after ${timeoutMs} ms`);
          if (instance?.child === child) void end('SIGKILL');
        }, timeoutMs + graceMs);
        underWay.set(id, { resolve, reject, timer });
        ids.add(id);
        child.send({ id, event }, () => undefined);
      }),
    get starts() {
      return starts;
    },
    get crashes() {
      return crashes;
    },
    get events() {
      return lastId;
    },
    failures,
    warmUp: async () => void (await running().ready),
    freeze: () => void instance?.child.kill('SIGSTOP'),
    thaw: () => void instance?.child.kill('SIGCONT'),
    kill: async () => void (await end('SIGKILL')),
    terminate: () => end('SIGTERM'),
    log,
  };
}

/** Keeps what the process writes; what ends it, Node writes to stderr, as text. */
export function keepLog({ stdout, stderr }: ChildProcess, log: LogLine[]): void {
  for (const stream of [stdout, stderr]) {
    createInterface({ input: stream as NonNullable<typeof stream> }).on('line', (text) => {
      const line: LogLine = text.startsWith('{') ? JSON.parse(text) : { message: text };
      log.push(line);
      if (stream === stderr && line.level === undefined) process.stderr.write(`${text}\n`);
    });
  }
}

export const awsEnvironment = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  LOG_LEVEL: 'INFO',
};

/** Without what Jest sets: a function behaves as in Lambda, not as under test. */
export function inherited(): NodeJS.ProcessEnv {
  const { NODE_ENV: _, JEST_WORKER_ID: __, AMQP_URL: ___, ...env } = process.env;
  return env;
}
