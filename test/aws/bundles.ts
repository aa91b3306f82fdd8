import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../helpers/stack';

/**
 * The operations of AWS that each function's bundle asks for: those that are named in what is left of our own code, to our
 * clients (`send("PutItem", ...)`) or as commands of the SDK's (`new PostToConnectionCommand(...)`). The SDK stays outside, for
 * one that is bundled names all the commands of its service.
 */
export async function bundledOperations(): Promise<Map<string, string[]>> {
  const functions = (await readdir(join(root, 'functions'))).filter((file) => file.endsWith('.ts'));
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: functions.map((file) => join('functions', file)),
    outdir: 'dist',
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
  });
  return new Map(
    functions.map((file, index) => {
      const named = (outputFiles[index]?.text ?? '').matchAll(/\.send\(\s*"(\w+)"|new [\w$.]*?(\w+)Command\(/g);
      return [file.replace('.ts', ''), [...new Set([...named].map(([, ours, ofSdk]) => ours ?? ofSdk ?? ''))]];
    }),
  );
}
