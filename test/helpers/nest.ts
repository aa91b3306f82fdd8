import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './stack';

/** The NestJS microservice of test/nest, as a process of its own. */
export interface NestService {
  /** Resolves once it consumes its queue. */
  listening: Promise<void>;
  stop(): Promise<void>;
}

export async function startNestService(env: {
  AMQP_URL: string;
  API_QUEUE: string;
  WS_QUEUE: string;
  STYLE: 'event' | 'rpc';
}): Promise<NestService> {
  const child = spawn(process.execPath, [await buildNest('service')], { env: { ...process.env, ...env } });
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const ended = once(child, 'exit');
  const listening = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => String(chunk).includes('listening') && resolve());
    child.once('exit', (code) => reject(new Error(`The Nest service ended with ${code}:\n${complaints}`)));
  });
  // Whoever waits for it is told; nobody need.
  listening.catch(() => undefined);
  return {
    listening,
    async stop() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Where Node can run a program of test/nest: NestJS is ES modules and decorators, neither of which Jest takes. */
export async function buildNest(program: 'service' | 'round-trip'): Promise<string> {
  // Inside the repository, for it finds its packages by its place.
  const outfile = join(root, '.cache', `nest-${program}.${process.pid}.mjs`);
  await build({
    entryPoints: [join(root, `test/nest/${program}.ts`)],
    tsconfig: join(root, 'test/nest/tsconfig.json'),
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
  });
  return outfile;
}
