import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bundledOperations } from './bundles';
import { combinations } from './combinations';
import { mistakes } from './mistakes';
import { openProjects, type Packaged, type Projects, packageOne, runPackage } from './package';
import { rules } from './rules';
import { bundleFaults } from './rules/permissions';
import { summary } from './summary';

/** Every kind of deployment, packaged as `sls deploy` would, and held to AWS's schema and to rules of ours. */

let projects: Projects;
let all: Packaged[];

beforeAll(async () => {
  projects = await openProjects();
  all = await projects.each(combinations, packageOne);
}, 600_000);

afterAll(async () => {
  await projects.remove();
  if (all !== undefined) process.stderr.write(summary(all));
});

describe('of every deployment', () => {
  test.each(Object.entries(rules))('%s', (_, rule) => {
    const faults = all.flatMap((packaged) => rule(packaged).map((fault) => `${packaged.combination.name}: ${fault}`));
    expect(faults).toEqual([]);
  });

  test('the table of what functions call is that of their bundles', async () => {
    expect(bundleFaults(await bundledOperations(), combinations)).toEqual([]);
  });
});

describe('a rule tells the mistake that it is there for', () => {
  test('each rule has one', () => {
    expect(new Set(mistakes.map(({ rule }) => rule))).toEqual(new Set(Object.keys(rules)));
  });

  test.each(mistakes)('$rule: $fault', ({ rule, deployment, make, fault }) => {
    const packaged = all.find(({ combination }) => combination.name === deployment);
    if (packaged === undefined) throw new Error(`There is no ${deployment}`);
    const template = structuredClone(packaged.template);
    make((id) => template.Resources[id]?.Properties ?? {}, template);
    expect(rules[rule]?.({ ...packaged, template })).toContainEqual(expect.stringContaining(fault));
  });

  test('an operation that no table knows, and one that is in no bundle', () => {
    const faults = bundleFaults(new Map([['connect', ['PutItem', 'GetItem', 'UpdateItem', 'Scan']]]), combinations);
    expect(faults).toEqual(['connect: its bundle has Scan', 'connect: its bundle lacks DeleteItem']);
  });
});

test('parameters that make no deployment are refused with a line that says why', async () => {
  const brokerArn = 'arn:aws:mq:us-east-1:123456789012:broker:example:b-1';
  const refused: [stage: string, parameters: Record<string, string>, reason: string][] = [
    ['prod', { auth: 'none' }, 'auth is none on the stage prod'],
    ['prod', {}, 'jwtIssuer must be set'],
    ['dev', { auth: 'jwt', jwtIssuer: 'a', jwtAudience: 'b' }, 'exactly one of jwksUrl and jwtSecretArn must be set'],
    ['dev', { broker: 'kafka' }, 'broker is not valid; it should be managed or existing'],
    ['dev', { broker: 'existing' }, 'brokerArn must be set'],
    ['dev', { broker: 'existing', brokerArn, brokerSubnets: 'subnet-1' }, 'must be set both or neither'],
    ['dev', { replyShards: '0' }, 'replyShards is not valid; it should be the number of queues for replies, 1 to 32'],
    ['dev', { replyShards: '33' }, 'replyShards is not valid'],
    ['dev', { replyShards: 'x' }, 'replyShards is not valid'],
  ];
  const answers = await projects.each(refused, async ([stage, parameters], project) => {
    const { code, text } = await runPackage(stage, parameters, project);
    return {
      code,
      said: text.split('\n').filter((line) => line.startsWith('Parameters: ')),
      isTraced: /^ {4}at /m.test(text),
    };
  });
  expect(answers).toEqual(
    refused.map(([, , reason]) => ({ code: 1, said: [expect.stringContaining(reason)], isTraced: false })),
  );
}, 120_000);
