import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { bundleOptions } from '../../infra/build';
import { root } from '../helpers/stack';

/** What is measured, in a folder of its own: the functions as they are deployed, and what they are compared with. */
export interface Bundles {
  /** The path of a function as it is deployed: `send`, `consumer`, ... */
  packaged(name: string): string;
  /** Bundles a file, named from the project's root, in the same way but for what the build does about the AWS SDK. */
  plain(file: string): Promise<string>;
  close(): Promise<void>;
}

export async function startBundles(): Promise<Bundles> {
  const folder = await mkdtemp(join(tmpdir(), 'ws-gateway-bench-'));
  const options = await bundleOptions(root, { minify: true });
  const packagedFolder = join(folder, 'packaged');
  await build({ ...options, write: true, sourcemap: false, outdir: packagedFolder });
  return {
    packaged: (name) => join(packagedFolder, `${name}.js`),
    async plain(file) {
      const outfile = join(folder, 'plain', `${basename(file, '.ts')}.js`);
      const { entryPoints: _, outdir: __, alias: ___, plugins: ____, external: _____, ...same } = options;
      await build({ ...same, entryPoints: [file], outfile, write: true, sourcemap: false });
      return outfile;
    },
    close: () => rm(folder, { recursive: true }),
  };
}
