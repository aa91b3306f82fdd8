import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { freePorts } from './ports';

/** The whole local stack as a newcomer starts it, on ports of its own. */
export interface Stack {
  webSocketUrl: string;
  managementUrl: string;
  pageUrl: string;
  amqpUrl: string;
  /** Where it listens: the WebSocket, serverless-offline's Lambda endpoint, the page, the embedded broker. */
  ports: number[];
  /** All that it printed. */
  output(): string;
  /** Resolves when it prints a text that it has not printed before this call. */
  prints(text: string): Promise<void>;
  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export const root = join(__dirname, '..', '..');

/**
 * @param env with AMQP_URL: on that broker; without: on an embedded one.
 * @param folder of the project to run, this one or a copy.
 */
export async function startStack(env: Record<string, string> = {}, folder = root): Promise<Stack> {
  const [webSocketPort, lambdaPort, pagePort, brokerPort] = (await freePorts(4)) as [number, number, number, number];
  const { AMQP_URL: _, ...inherited } = process.env;
  const ports = {
    WEBSOCKET_PORT: webSocketPort,
    LAMBDA_PORT: lambdaPort,
    PAGE_PORT: pagePort,
    BROKER_PORT: brokerPort,
  };
  const portsAsText = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)]));
  const child = spawn(process.execPath, [join(root, 'node_modules/serverless/bin/serverless.js'), 'offline'], {
    cwd: folder,
    env: { ...inherited, ...portsAsText, ...env },
  });
  let output = '';
  const printing = new EventEmitter();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
      printing.emit('text');
    });
  }
  child.once('exit', (code) => printing.emit('error', new Error(`The stack ended with ${code}:\n${output}`)));
  printing.on('error', () => undefined);
  const printed = async (text: string, from: number) => {
    const signal = AbortSignal.timeout(60_000);
    while (!output.slice(from).includes(text)) await once(printing, 'text', { signal });
  };
  await printed('Ctrl-C stops it.', 0).catch(async (error) => {
    await interrupt(child);
    throw error.name === 'AbortError' ? new Error(`The stack did not start within 60 s:\n${output}`) : error;
  });
  return {
    webSocketUrl: `ws://localhost:${webSocketPort}`,
    managementUrl: `http://localhost:${webSocketPort}`,
    pageUrl: `http://localhost:${pagePort}`,
    amqpUrl: env.AMQP_URL ?? `amqp://guest:guest@127.0.0.1:${brokerPort}`,
    ports: [webSocketPort, lambdaPort, pagePort, ...(env.AMQP_URL ? [] : [brokerPort])],
    output: () => output,
    prints: (text) => printed(text, output.length),
    stop: () => interrupt(child),
  };
}

async function interrupt(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const code = await ended;
  clearTimeout(timer);
  return code;
}
