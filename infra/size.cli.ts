import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { bundleOptions } from './build';
import { inColumns } from './columns';

const budgetFile = 'infra/size-budget.json';

/** `npm run size`: how large each bundle is, as it is deployed, what it is made of, and whether it may be. Writes no file. */
const help = `Bundles the functions as for AWS, and tells how large each is, and what fills most of it. Fails where one is larger than
its budget in ${budgetFile}, or has none there.

  npm run size

  --json    exact numbers instead: [{"name", "bytes", "budgetBytes", "gzippedBytes", "largest": [{"from", "bytes"}]}],
            in bytes; npm run --silent size -- --json
  --help    this

A cold start reads the whole bundle, so each byte is paid for by whoever waits; "late/..." is read only where an event needs it.
KB are 1000 bytes, of the bundle as it is deployed: minified, without its source map. Of each bundle the five packages that
fill most have a row; "this project" is functions/, lib/ and infra/, "the rest" all other packages and what esbuild adds.`;

interface Size {
  name: string;
  bytes: number;
  /** What it may have; null where nobody has said. */
  budgetBytes: number | null;
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
  for (const excess of sizes.flatMap(excessOf)) {
    console.error(excess);
    process.exitCode = 1;
  }
}

async function sizesOf(root: string): Promise<Size[]> {
  const { outputFiles, metafile } = await build({ ...(await bundleOptions(root, { minify: true })), metafile: true });
  const budgets: Record<string, number> = JSON.parse(await readFile(join(root, budgetFile), 'utf8'));
  return Object.entries(metafile.outputs).flatMap(([path, { inputs, entryPoint }]) => {
    const contents = outputFiles.find((file) => file.path === join(root, path))?.contents;
    if (entryPoint === undefined || contents === undefined) return [];
    const name = path.replace(/^dist\/|\.js$/g, '');
    return {
      name,
      bytes: contents.length,
      budgetBytes: budgets[name] ?? null,
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

function excessOf({ name, bytes, budgetBytes, largest }: Size): string[] {
  if (budgetBytes === null) return [`${name} has no budget in ${budgetFile}.`];
  if (bytes <= budgetBytes) return [];
  const parts = largest.map(({ from, bytes: share }) => `${from} ${inKB(share)}`).join(', ');
  const excess = `${name} is ${bytes - budgetBytes} bytes above its budget of ${inKB(budgetBytes)} KB in ${budgetFile}`;
  return [`${excess}. In KB: ${parts}; npm run size in an earlier commit tells which of them has grown.`];
}

function table(sizes: Size[]): string {
  const rows = sizes.flatMap(({ name, bytes, budgetBytes, gzippedBytes, largest }) => [
    [name, inKB(bytes), budgetBytes === null ? '' : inKB(budgetBytes), inKB(gzippedBytes)],
    ...[...largest, restOf(bytes, largest)].map((share) => [`  ${share.from}`, inKB(share.bytes), '', '']),
  ]);
  return inColumns([['minified', 'KB', 'budget', 'KB gzipped'], ...rows]);
}

function restOf(bytes: number, largest: Share[]): Share {
  return { from: 'the rest', bytes: largest.reduce((rest, share) => rest - share.bytes, bytes) };
}

function inKB(bytes: number): string {
  return (bytes / 1000).toFixed(1);
}

main().catch((error: NodeJS.ErrnoException) => {
  console.error(`${error.message}\nSee: npm run size -- --help`);
  process.exitCode = error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1;
});
