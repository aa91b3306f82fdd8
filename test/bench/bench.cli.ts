import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import amqp from 'amqplib';
import { inColumns } from '../../infra/columns';
import { reasonsOf } from '../../lib/reason';
import type { Bench, BenchContext } from './bench';
import { nodeForFunctions, versionOf } from './node';
import { asMarkdown, asText, type Circumstances, faultsIn, leftOutOf, type Outcome } from './report';
import { coldStart } from './rows/cold-start';
import { connectAndDisconnect } from './rows/connections';
import { consumer } from './rows/consumer';
import { growth } from './rows/growth';
import { memory } from './rows/memory';
import { roundTrip } from './rows/round-trip';
import { warmSend } from './rows/send';
import { shards } from './rows/shards';

/** `npm run bench`: the gateway beside what one would use instead, measured by turns. */

const benches: readonly Bench[] = [
  coldStart,
  warmSend,
  consumer,
  connectAndDisconnect,
  roundTrip,
  shards,
  growth,
  memory,
];

/** Of fewer, a median says little. */
const leastRounds = 7;

const help = `Measures what a user of the gateway pays for and waits for, beside what they would use instead.

  .ci/with-rabbitmq npm run bench      all of it, with a RabbitMQ that is started for it
  TEST_AMQP_URL=amqp://... npm run bench
  npm run bench                        what needs no RabbitMQ, or can do with the embedded broker

  -- --rounds <n>     how often everything is measured (${leastRounds})
  -- --only <name>    only this, and again for one more
  -- --quick          to see that it runs, with the least work, not how fast
  -- --help           this

Prints a table of ratios. Where all of it ran, in ${leastRounds} rounds or more, and nothing failed, it writes
test/bench/results.md, which says how to read it. Ends with 1 where something was lost, crashed or was not as often as
it must be; never for a goal that is missed.

${inColumns(
  benches.map(({ name, about }) => [`  ${name}`, about]),
  2,
)}`;

const root = join(__dirname, '..', '..');
const resultsFile = join(root, 'test/bench/results.md');
// A network would be measured, not a gateway.
const loopback = /^(localhost|127\.[\d.]+|\[::1\])$/;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
    },
  });
  if (values.help) return console.log(help);
  // As in the local stack: on Node 20 the AWS SDK prints ten lines about Node 22, on which the functions run.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const context = await contextOf(values);
  const chosen = chosenBenches(values.only);
  const loadBefore = load();

  const outcomes: Outcome[] = [];
  for (const bench of chosen) outcomes.push(await outcomeOf(bench, context));

  console.log(asText(outcomes));
  for (const line of leftOutOf(outcomes)) console.error(line);
  for (const fault of faultsIn(outcomes)) console.error(fault);
  const lacking = lackingForResults(context, chosen, outcomes);
  if (lacking === undefined) {
    const circumstances = await circumstancesOf(context, loadBefore);
    await writeFile(resultsFile, `${asMarkdown(outcomes, circumstances)}\n`);
  } else {
    console.error(`Not written: test/bench/results.md, for ${lacking}.`);
  }
  if (faultsIn(outcomes).length > 0) process.exitCode = 1;
}

async function contextOf({ quick, rounds }: { quick: boolean; rounds?: string }): Promise<BenchContext> {
  const count = Number(rounds ?? (quick ? 1 : leastRounds));
  if (!Number.isInteger(count) || count < 1) throw new Error('--rounds takes a whole number from 1.');
  const amqpUrl = process.env.TEST_AMQP_URL || undefined;
  if (amqpUrl !== undefined && !loopback.test(new URL(amqpUrl).hostname)) {
    throw new Error('TEST_AMQP_URL must be on the loopback.');
  }
  return { quick, rounds: count, amqpUrl, node: await nodeForFunctions() };
}

function chosenBenches(only: readonly string[]): readonly Bench[] {
  const unknown = only.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) {
    throw new Error(`--only ${unknown}: there are ${benches.map(({ name }) => name).join(', ')}.`);
  }
  return only.length === 0 ? benches : benches.filter(({ name }) => only.includes(name));
}

/** One that fails keeps no other from its turn. */
async function outcomeOf(bench: Bench, context: BenchContext): Promise<Outcome> {
  const { name, needs } = bench;
  if (needs !== undefined && context.amqpUrl === undefined) {
    return { name, leftOut: `which needs ${needs}. To run it too: .ci/with-rabbitmq npm run bench` };
  }
  const start = performance.now();
  try {
    return { name, result: await bench.run(context) };
  } catch (error) {
    return { name, failure: reasonsOf(error) };
  } finally {
    console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
}

/** What keeps a run out of the results that are kept; undefined for one that may stand there. */
function lackingForResults(
  { quick, rounds }: BenchContext,
  chosen: readonly Bench[],
  outcomes: readonly Outcome[],
): string | undefined {
  if (quick) return 'this run was quick';
  if (rounds < leastRounds) return `it takes ${leastRounds} rounds or more`;
  if (chosen.length < benches.length || leftOutOf(outcomes).length > 0) return 'this run was not all of it';
  return faultsIn(outcomes).length > 0 ? 'this run failed' : undefined;
}

async function circumstancesOf(
  { rounds, amqpUrl = '', node }: BenchContext,
  loadBefore: string,
): Promise<Circumstances> {
  const [cpu] = cpus();
  const packages = [
    'amqplib',
    '@aws-sdk/client-apigatewaymanagementapi',
    '@aws-sdk/client-dynamodb',
    '@aws-sdk/lib-dynamodb',
    'undici',
    'serverless-offline',
    '@nestjs/core',
    'socket.io-client',
  ];
  return [
    ['date', new Date().toISOString().slice(0, 10)],
    ['rounds', String(rounds)],
    ['machine', `${cpu?.model.trim()}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GB`],
    ['system', `${type()} ${release()}`],
    ['load before and after', `${loadBefore}, ${load()}`],
    ['Node of the functions', await versionOf(node)],
    ['Node of the local stack', process.version],
    ['RabbitMQ', await rabbitmqVersion(amqpUrl)],
    ...packages.map((name) => [name, installedVersion(name)] as const),
  ];
}

function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1);
}

async function rabbitmqVersion(url: string): Promise<string> {
  const connection = await amqp.connect(url);
  const { version } = connection.connection.serverProperties;
  await connection.close();
  return String(version);
}

function installedVersion(name: string): string {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

main()
  .catch((error: unknown) => {
    console.error(`${reasonsOf(error)}\nSee: npm run bench -- --help`);
    process.exitCode = 1;
  })
  // What a benchmark that failed has left open must not keep the run from its end.
  .finally(() => process.exit());
