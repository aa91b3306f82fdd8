import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { runRabbitmqctl } from './rabbitmq';
import { root } from './stack';

/**
 * A RabbitMQ of a test's own, which may be killed and started again on the same data and port. .ci/with-rabbitmq starts
 * the first process and says by its environment how another is started; it cleans up when this process ends, however it
 * ends.
 */
export interface RabbitmqNode {
  url: string;
  /** Runs rabbitmqctl on this node. */
  ctl(...args: string[]): Promise<void>;
  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** After `kill`; resolves once clients can connect. */
  start(): Promise<void>;
  /** Ends the node and removes its data. */
  close(): Promise<void>;
}

/** Runs as the command of .ci/with-rabbitmq: a line starts another server, the end of the input is the end of it all. */
const keeper = `
node -p 'JSON.stringify(process.env)'
while read -r _; do HOME=$TEST_RABBITMQ_HOME rabbitmq-server >>"$RABBITMQ_LOG_BASE/stdout" 2>&1 & done
kill $(jobs -p) 2>/dev/null
wait`;

const startTimeoutMs = 60_000;
const pollMs = 50;

export async function startRabbitmqNode(): Promise<RabbitmqNode> {
  const child = spawn(join(root, '.ci/with-rabbitmq'), ['bash', '-c', keeper], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const env = await environment(createInterface({ input: child.stdout }), ended);
  const { TEST_AMQP_URL: url, RABBITMQ_PID_FILE: pidFile } = env as Record<string, string>;
  if (url === undefined || pidFile === undefined)
    throw new Error('.ci/with-rabbitmq no longer says where its node is.');

  const kill = async () => {
    const pid = Number(await readFile(pidFile, 'utf8'));
    while (signal(pid, 'SIGKILL')) await sleep(pollMs);
  };
  return {
    url,
    ctl: (...args) => runRabbitmqctl(env, args),
    kill,
    async start() {
      child.stdin.write('start\n');
      const deadline = Date.now() + startTimeoutMs;
      while (!(await listens(url))) {
        if (Date.now() > deadline) throw new Error(`RabbitMQ did not start again within ${startTimeoutMs} ms.`);
        await sleep(pollMs);
      }
    },
    async close() {
      // Its data go with it: it need not put them in order.
      await kill();
      child.stdin.end();
      await ended;
    },
  };
}

async function environment(output: AsyncIterable<string>, ended: Promise<unknown[]>): Promise<NodeJS.ProcessEnv> {
  const failed = ended.then(([code]) => {
    throw new Error(`.ci/with-rabbitmq ended with ${code}.`);
  });
  const { value: line } = await Promise.race([output[Symbol.asyncIterator]().next(), failed]);
  return JSON.parse(line);
}

/** Whether there was such a process. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

async function listens(url: string): Promise<boolean> {
  const { port, hostname } = new URL(url);
  const socket = net.connect({ port: Number(port), host: hostname });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
