import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadedLate } from '../../infra/build';
import { root } from '../helpers/stack';
import type { Combination } from './combinations';
import type { Template } from './template';

/**
 * `sls package`, as a machine without AWS would run it: no credentials, no configuration, no network. It runs in folders
 * that hold what a template comes of: serverless.yml, infra, and for each function a stand-in, for of their code a template
 * has nothing, and bundling it takes longer than all else.
 */

export interface Packaged {
  combination: Combination;
  template: Template;
  /** With which a stack is created, before the code is uploaded. */
  firstTemplate: Template;
}

/** Folders to package in, each for one at a time: what the framework writes is in the folder's `.serverless`. */
export interface Projects {
  /** Does the work for each of the things, as many at once as there are folders. */
  each<Thing, Result>(
    things: readonly Thing[],
    work: (thing: Thing, project: string) => Promise<Result>,
  ): Promise<Result[]>;
  remove(): Promise<void>;
}

/** On two cores more gain nothing. */
const atOnce = 2;

/** In the project, because what they hold finds its packages by the folders above. */
export async function openProjects(): Promise<Projects> {
  await mkdir(join(root, '.cache'), { recursive: true });
  const folder = await mkdtemp(join(root, '.cache/aws-'));
  const projects = Array.from({ length: atOnce }, (_, index) => join(folder, `project-${index}`));
  for (const project of projects) await fillProject(project);
  return {
    async each<Thing, Result>(things: readonly Thing[], work: (thing: Thing, project: string) => Promise<Result>) {
      const results: Result[] = [];
      const waiting = [...things.entries()];
      const run = async (project: string) => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          const [index, thing] = next;
          results[index] = await work(thing, project);
        }
      };
      await Promise.all(projects.map(run));
      return results;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function fillProject(project: string): Promise<void> {
  await mkdir(join(project, 'functions'), { recursive: true });
  // The framework takes a real file only.
  for (const file of ['serverless.yml', 'package.json']) await cp(join(root, file), join(project, file));
  await symlink(join(root, 'infra'), join(project, 'infra'));
  for (const file of await readdir(join(root, 'functions'))) {
    await writeFile(join(project, 'functions', file), 'export const handler = () => undefined;');
  }
  await mkdir(join(project, 'lib'));
  for (const name of loadedLate) await writeFile(join(project, 'lib', `${name}.ts`), 'export {};');
}

export async function packageOne(combination: Combination, project: string): Promise<Packaged> {
  const { name, stage, parameters } = combination;
  const { code, text } = await runPackage(stage, parameters, project);
  if (code !== 0) throw new Error(`Packaging of "${name}" failed:\n${text}`);
  const read = async (step: string): Promise<Template> =>
    JSON.parse(await readFile(join(project, '.serverless', `cloudformation-template-${step}-stack.json`), 'utf8'));
  return { combination, template: await read('update'), firstTemplate: await read('create') };
}

/** Resolves with the exit code, and with what it printed. */
export function runPackage(
  stage: string,
  parameters: Readonly<Record<string, string>>,
  project: string,
): Promise<{ code: number; text: string }> {
  const options = Object.entries(parameters).map(([name, value]) => `--param=${name}=${value}`);
  const command = [join(root, 'node_modules/serverless/bin/serverless.js'), 'package', '--stage', stage, ...options];
  const environment = { PATH: process.env.PATH, HOME: join(project, '../home') };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, command, { cwd: project, env: environment }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? 1, text: stdout + stderr }),
    );
  });
}
