import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';

/**
 * A part of a benchmark as a process of its own, in plain JavaScript. It says by IPC that it is ready, and then answers
 * each question with one message; it ends with its parent.
 */
export interface Program {
  /** One at a time. Rejects when the process ends instead of answering. */
  ask<Answer>(question: unknown): Promise<Answer>;
  stop(): Promise<void>;
}

interface ProgramOptions {
  /** Path of the TypeScript file, from the root of the project. */
  file: string;
  /** The Node that runs it. */
  node: string;
  env: Record<string, string>;
  /** Over those of a bundle that needs nothing beside it. */
  bundle?: BuildOptions;
}

const root = join(__dirname, '..', '..');
let built = 0;

/** Resolves once it is ready. */
export async function startProgram({ file, node, env, bundle = {} }: ProgramOptions): Promise<Program> {
  built += 1;
  // Inside the project: what is not bundled finds its packages by its place.
  const outfile = join(root, '.cache/bench', `${process.pid}.${built}.${bundle.format === 'esm' ? 'mjs' : 'cjs'}`);
  await build({
    absWorkingDir: root,
    entryPoints: [file],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'warning',
    ...bundle,
  });
  const child = fork(outfile, {
    execPath: node,
    execArgv: [],
    env: { ...process.env, ...env },
    // What a function logs is written, and read by nobody.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(outfile, { force: true });
  };
  try {
    await nextMessage(child, file);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    async ask<Answer>(question: unknown) {
      child.send(question as object);
      return (await nextMessage(child, file)) as Answer;
    },
    stop,
  };
}

function nextMessage(child: ChildProcess, file: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown) => {
      child.off('exit', onExit);
      resolve(message);
    };
    const onExit = (code: number | null) => {
      child.off('message', onMessage);
      reject(new Error(`${file} ended with ${code}.`));
    };
    child.once('message', onMessage).once('exit', onExit);
  });
}
