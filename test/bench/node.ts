import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { reasonOf } from '../../lib/reason';
import { root } from '../helpers/stack';

/** A Node as the functions run on in Lambda, 22 or later: this one or, if it is older, one from npm, installed once. */

const run = promisify(execFile);
const major = 22;

export async function nodeForFunctions(): Promise<string> {
  if (Number.parseInt(process.versions.node, 10) >= major) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(root, '.cache', `node-${major}`);
  const path = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(path)) await install(`${name}@${major}`, folder);
  return path;
}

export async function versionOf(node: string): Promise<string> {
  const { stdout } = await run(node, ['--version']);
  return stdout.trim();
}

async function install(packageName: string, folder: string): Promise<void> {
  process.stderr.write(`The functions run on Node ${major}: installing ${packageName} into .cache, once\n`);
  try {
    await run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', packageName]);
  } catch (error) {
    const how = `Run the benchmark by a Node of version ${major} or later, or where npm can be reached.`;
    throw new Error(`${packageName} could not be installed (${reasonOf(error)}). ${how}`, { cause: error });
  }
}
