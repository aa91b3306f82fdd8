import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BuildOptions, build } from 'esbuild';

/**
 * The client library as a package of its own, for `npm install <folder>` and `import { connect } from 'ws-gateway/client'`: one
 * minified ES module, its types, and a package.json that asks for nothing else.
 */

/** Where `npm run build:client` puts it, and `exports` in package.json finds it. */
export const clientFolder = 'dist/client';

export async function buildClient(root: string, outdir = join(root, clientFolder)): Promise<void> {
  await mkdir(outdir, { recursive: true });
  await Promise.all([build({ ...clientBundle(root), outdir }), writeTypes(root, outdir), describe(root, outdir)]);
}

/** What browsers of the last four years read. */
export function clientBundle(root: string): BuildOptions {
  return {
    absWorkingDir: root,
    entryPoints: ['lib/client/index.ts'],
    bundle: true,
    minify: true,
    platform: 'neutral',
    format: 'esm',
    target: 'es2022',
    sourcemap: 'linked',
    logLevel: 'warning',
  };
}

/** Those that an application sees. */
const typed = ['index', 'types', 'errors'];

async function writeTypes(root: string, outdir: string): Promise<void> {
  const drafts = await mkdtemp(join(tmpdir(), 'client-types-'));
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const options = ['-p', join(root, 'lib/client'), '--noEmit', 'false', '--outDir', drafts];
    await promisify(execFile)(process.execPath, [tsc, ...options]).catch(({ stdout }) => {
      throw new Error(`lib/client does not compile:\n${stdout}`);
    });
    for (const name of typed) {
      const draft = await readFile(join(drafts, `${name}.d.ts`), 'utf8');
      // Node's resolution, which TypeScript follows, wants the extension.
      await writeFile(join(outdir, `${name}.d.ts`), draft.replace(/(from '\.\/\w+)'/g, "$1.js'"));
    }
  } finally {
    await rm(drafts, { recursive: true });
  }
}

async function describe(root: string, outdir: string): Promise<void> {
  const { name, version, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const entry = { types: './index.d.ts', default: './index.js' };
  const description = { name, version, license, type: 'module', sideEffects: false, exports: { './client': entry } };
  await writeFile(join(outdir, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
}
