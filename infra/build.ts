import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type BuildOptions, build, context, type OutputFile, type Plugin } from 'esbuild';
import { leanAmqplib } from './amqplib';

/**
 * The bundles of the functions: `functions/<name>.ts` becomes `dist/<name>.js`, one CommonJS file that needs nothing
 * beside it but what it loads late, `dist/late/*.js`. A file is replaced at once and only when its content has changed, so
 * that a running stack never reads half a bundle and reloads only what is new. A minified bundle has a source map,
 * `dist/<name>.js.map`, of which it says nothing itself: it is for who reads a stack in the logs, and is not deployed. Those
 * of the local stack are apart, and have all in one file.
 */

export interface BuildResult {
  /** Absolute paths of the files that have changed. */
  changed: string[];
}

/** Builds once, for the cloud. */
export async function buildFunctions(root: string): Promise<void> {
  const { outputFiles } = await build(await bundleOptions(root, { minify: true }));
  await writeChanged(outputFiles);
}

/**
 * Builds for the local stack, readable, then again within a moment of every change of a source, until closed. A source that
 * does not compile changes nothing.
 */
export async function watchFunctions(
  root: string,
  onRebuild: (result: BuildResult) => void,
): Promise<{ close(): Promise<void> }> {
  const builder = await context({
    ...(await bundleOptions(root, { minify: false })),
    metafile: true,
    logLevel: 'error',
  });
  const watchers = new Map<string, FSWatcher>();
  const rebuild = async () => {
    const { outputFiles, metafile } = await builder.rebuild();
    for (const source of Object.keys(metafile.inputs)) {
      if (!source.includes('node_modules')) watchFolder(dirname(join(root, source)));
    }
    return writeChanged(outputFiles);
  };

  // Neither esbuild's own watch mode, which polls and takes up to two seconds, nor a recursive watch, which on Linux
  // loses a file that is replaced by renaming.
  const watchFolder = (folder: string) => {
    if (watchers.has(folder)) return;
    const watcher = watch(folder, onChange);
    watchers.set(folder, watcher);
    watcher.on('error', () => {
      watcher.close();
      watchers.delete(folder);
    });
  };
  let last: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const onChange = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // esbuild has printed what does not compile.
      last = last.then(async () => onRebuild({ changed: await rebuild() })).catch(() => undefined);
    }, settleMs);
  };
  await rebuild();
  return {
    async close() {
      for (const watcher of watchers.values()) watcher.close();
      clearTimeout(timer);
      await last;
      await builder.dispose();
    },
  };
}

/** Editors write a file in several steps. */
const settleMs = 50;

/** Where those of the local stack are. */
export const localFolder = 'dist/local';

/**
 * What few events need, of lib/: where a function has `import('./<name>')`, it finds it in a file beside its bundle, so that
 * a cold start reads none of it. A class in there is not the one of the same name in the bundle.
 */
export const loadedLate = ['close', 'open-dead-letters'];

/** What esbuild is told; the output is the caller's to write. */
export async function bundleOptions(
  root: string,
  { minify }: { minify: boolean },
): Promise<BuildOptions & { write: false }> {
  const functions = (await readdir(join(root, 'functions'))).filter((file) => file.endsWith('.ts'));
  const late = minify ? loadedLate : [];
  return {
    absWorkingDir: root,
    entryPoints: [
      ...functions.map((file) => ({ in: join('functions', file), out: basename(file, '.ts') })),
      ...late.map((name) => ({ in: join('lib', `${name}.ts`), out: join('late', name) })),
    ],
    plugins: [leftInFilesOfTheirOwn(late), leanAmqplib],
    // A running stack and a packaging do not take each other's.
    outdir: minify ? 'dist' : localFolder,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    // The module builds of the AWS SDK shake down to two thirds of the main ones.
    mainFields: ['module', 'main'],
    // Where a client of the SDK finds its credentials; all that it would look through besides is larger than itself.
    alias: { '@aws-sdk/credential-provider-node': join(root, 'lib/aws-env.ts') },
    // The SDK imports it by itself for operations that stream events. None of ours does.
    external: ['@smithy/core/event-streams'],
    minify,
    sourcemap: minify && 'external',
    logLevel: 'warning',
  };
}

function leftInFilesOfTheirOwn(late: readonly string[]): Plugin {
  return {
    name: 'loaded late',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\// }, ({ path, kind }) =>
        kind === 'dynamic-import' && late.includes(basename(path))
          ? { path: `./late/${basename(path)}.js`, external: true }
          : undefined,
      );
    },
  };
}

async function writeChanged(outputs: readonly OutputFile[]): Promise<string[]> {
  const written = await Promise.all(
    outputs.map(async ({ path, contents }) => {
      const current = await readFile(path).catch(() => undefined);
      if (current?.equals(contents)) return [];
      await mkdir(join(path, '..'), { recursive: true });
      const draft = join(path, '..', `.${basename(path)}.${process.pid}`);
      await writeFile(draft, contents);
      await rename(draft, path);
      return [path];
    }),
  );
  return written.flat();
}
