import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from '../helpers/stack';

/**
 * The commands of the AWS SDK that each function's bundle holds: those that are constructed in what is left of our own
 * code. The SDK stays outside, for one that is bundled names all the commands of its service.
 */
export async function bundledCommands(): Promise<Map<string, string[]>> {
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
      const constructed = (outputFiles[index]?.text ?? '').matchAll(/new [\w$.]*?(\w+)Command\(/g);
      return [file.replace('.ts', ''), [...new Set([...constructed].map(([, name = '']) => name))]];
    }),
  );
}
