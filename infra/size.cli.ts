import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { bundleOptions } from './build';

/** `npm run size`: how large each bundle is, as it is deployed, and what it is made of. Writes no file. */
const help = `Bundles the functions as for AWS, and tells how large each is, and what fills most of it.

  npm run size

  --json    exact numbers instead: [{"name", "bytes", "gzippedBytes", "largest": [{"from", "bytes"}]}], in bytes;
            npm run --silent size -- --json
  --help    this

KB are 1000 bytes, of the bundle as it is deployed: minified, without its source map. Of each bundle the five packages that
fill most have a row; "this project" is functions/, lib/ and infra/, "the rest" all other packages and what esbuild adds.`;

interface Size {
  name: string;
  bytes: number;
  gzippedBytes: number;
  /** The five that fill most, by package. */
  largest: Share[];
}

interface Share {
  from: string;
  bytes: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return console.log(help);
  const sizes = await sizesOf(join(__dirname, '..'));
  console.log(values.json ? JSON.stringify(sizes) : table(sizes));
}

async function sizesOf(root: string): Promise<Size[]> {
  const { outputFiles, metafile } = await build({ ...(await bundleOptions(root, { minify: true })), metafile: true });
  return Object.entries(metafile.outputs).flatMap(([path, { inputs, entryPoint }]) => {
    const contents = outputFiles.find((file) => file.path === join(root, path))?.contents;
    if (entryPoint === undefined || contents === undefined) return [];
    return {
      name: basename(path, '.js'),
      bytes: contents.length,
      gzippedBytes: gzipSync(contents, { level: 9 }).length,
      largest: byPackage(inputs).slice(0, 5),
    };
  });
}

function byPackage(inputs: Metafile['outputs'][string]['inputs']): Share[] {
  const bytesFrom = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const from = packageOf(path);
    bytesFrom.set(from, (bytesFrom.get(from) ?? 0) + bytesInOutput);
  }
  return [...bytesFrom].map(([from, bytes]) => ({ from, bytes })).sort((a, b) => b.bytes - a.bytes);
}

/** A package may have its own copy of another: the innermost counts. */
function packageOf(path: string): string {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? 'this project';
}

function table(sizes: Size[]): string {
  const rows = sizes.flatMap(({ name, bytes, gzippedBytes, largest }) => [
    [name, inKB(bytes), inKB(gzippedBytes)],
    ...[...largest, restOf(bytes, largest)].map((share) => [`  ${share.from}`, inKB(share.bytes), '']),
  ]);
  return aligned([['minified', 'KB', 'KB gzipped'], ...rows]);
}

function restOf(bytes: number, largest: Share[]): Share {
  return { from: 'the rest', bytes: largest.reduce((rest, share) => rest - share.bytes, bytes) };
}

function inKB(bytes: number): string {
  return (bytes / 1000).toFixed(1);
}

/** Names to the left, numbers to the right. */
function aligned(rows: string[][]): string {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const [nameWidth = 0, ...numberWidths] = widths;
  return rows
    .map(([name = '', ...numbers]) =>
      [name.padEnd(nameWidth), ...numbers.map((text, i) => text.padStart(numberWidths[i] ?? 0))].join('  ').trimEnd(),
    )
    .join('\n');
}

main().catch((error: NodeJS.ErrnoException) => {
  console.error(`${error.message}\nSee: npm run size -- --help`);
  process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
});
