import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../../lib/reason';
import { residentMemory } from '../process-memory';
import { type MeasuredBroker, measureStartMs, rabbitmqAt, startEmbedded } from './brokers';
import { goalsLine, type MemoryRow, memoryTable, type SpeedRow, speedTable, startLine } from './report';
import { type Measurement, workloads } from './workloads';

/**
 * `npm run bench:broker`: the embedded broker against RabbitMQ, the same client putting both to the same work
 * by turns. It prints figures and fails on none: what they are worth depends on how quiet the machine is.
 */
const help = `Compares the embedded broker with a RabbitMQ on this machine.

  .ci/with-rabbitmq npm run bench:broker     with a RabbitMQ that is started for it
  TEST_AMQP_URL=amqp://... npm run bench:broker
  npm run bench:broker                       the embedded broker alone

  -- --rounds 5   how often every row is measured (5); the medians are shown
  -- --quick      a tenth of the messages, 3 rounds: to see that it runs, not how fast or in how much memory

Messages of 100 bytes, not persistent, in a transient classic queue: the work that both brokers do in memory.
The client is lean and takes one core; a broker has the others.`;

const STARTS = 7;
// A network would be measured, not a broker.
const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;

async function main(): Promise<void> {
  const options = {
    help: { type: 'boolean', short: 'h' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(help);
    return;
  }
  const rounds = Number(values.rounds ?? (values.quick ? 3 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number from 1.');

  const url = process.env.TEST_AMQP_URL;
  if (url && !LOOPBACK.test(new URL(url).hostname)) throw new Error('TEST_AMQP_URL must be on the loopback.');

  console.log(`${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)} before the run\n`);
  const brokers = [await startEmbedded(), ...(url ? [rabbitmqAt(url)] : [])];
  try {
    await measure(brokers, rounds, values.quick ? 0.1 : 1);
  } finally {
    for (const broker of brokers) await broker.close();
  }
  const startsMs: number[] = [];
  while (startsMs.length < STARTS) startsMs.push(await measureStartMs());
  console.log(`\n${startLine(startsMs)}\n\n${goalsLine}`);
  if (!url) console.log('\nFor the comparison with RabbitMQ: .ci/with-rabbitmq npm run bench:broker');
}

async function measure(brokers: readonly MeasuredBroker[], rounds: number, scale: number): Promise<void> {
  const speed = workloads(scale).map((workload) => ({ workload, rounds: byBroker<Measurement>() }));
  const idle = { name: 'idle, before the first client', rounds: byBroker<number>() };
  const full = { name: 'while the queue to drain is full', rounds: byBroker<number>() };
  const peak = { name: 'at most, in the whole run', rounds: byBroker<number>() };
  const note = (row: typeof idle, { name, pid }: MeasuredBroker, which: 'nowBytes' | 'peakBytes') => {
    if (pid !== undefined) row.rounds[name].push(residentMemory(pid)[which]);
  };

  for (const broker of brokers) note(idle, broker, 'nowBytes');
  for (let round = 1; round <= rounds; round += 1) {
    for (const row of speed) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${row.workload.name}`);
      for (const broker of brokers) {
        const measured = await row.workload.run(broker.url, () => note(full, broker, 'nowBytes'));
        row.rounds[broker.name].push(measured);
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  for (const broker of brokers) note(peak, broker, 'peakBytes');

  const speedRows: SpeedRow[] = speed;
  const memoryRows: MemoryRow[] = [idle, full, peak];
  console.log(`${speedTable(speedRows)}\n`);
  for (const { workload } of speed) {
    if (workload.latencyOf !== undefined) console.log(`times of ${workload.name}: ${workload.latencyOf}`);
  }
  console.log(`\n${memoryTable(memoryRows)}`);
}

function byBroker<T>(): Record<MeasuredBroker['name'], T[]> {
  return { embedded: [], RabbitMQ: [] };
}

main().catch((error: unknown) => {
  console.error(`${reasonOf(error)}\nSee: npm run bench:broker -- --help`);
  process.exitCode = 1;
});
