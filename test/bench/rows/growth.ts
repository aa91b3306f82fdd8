import { BatchWriteItemCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { table } from '../../../infra/aws/table';
import { startTables } from '../../../infra/local/table';
import { leaseFrom } from '../../../lib/connections';
import { type Bench, type BenchContext, metricOf, type Row } from '../bench';
import { type Bundles, startBundles } from '../bundles';
import { connectionId, lifecycleEvent, repliesEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { functionEnv, type MeasuredProcess, startMeasured } from '../measured';
import { thousands } from '../report';
import { type Figures, interleaved, type Rounds, type Turn } from '../rounds';

/**
 * What a connect takes where many connections are stored, beside where few are; and a reply where a process has replied
 * to many, for a plain reply reads no table. The tables are those of the local stack, one for each number of
 * connections: DynamoDB itself takes as long for one row of many as of few.
 */

const repliesEach = 100;

export const growth: Bench = {
  name: 'growth',
  about: 'a connect where 1,000, 10,000 or 50,000 connections are stored, a reply after replies to as many',

  async run(context) {
    const levels = context.quick ? [100, 200, 400] : [1000, 10_000, 50_000];
    const bundles = await startBundles();
    try {
      return {
        rows: [
          ...rowsOf('connect, with stored', levels, connectNote, await measureConnects(levels, context, bundles)),
          ...rowsOf('reply, after replies to', levels, replyNote, await measureReplies(levels, context, bundles)),
        ],
        counts: [],
      };
    } finally {
      await bundles.close();
    }
  },
};

async function measureConnects(levels: readonly number[], { quick, rounds, node }: BenchContext, bundles: Bundles) {
  const closing: (() => Promise<void>)[] = [];
  try {
    const turns: [string, Turn][] = [];
    for (const level of levels) {
      const tables = await startTables(table({ production: false }));
      closing.push(() => tables.close());
      await store(level, tables.endpoint);
      const functions = [bundles.packaged('connect'), bundles.packaged('disconnect')];
      const process = await startMeasured(node, functions, functionEnv({ awsUrl: tables.endpoint }));
      closing.push(() => process.close());
      const turn = () => connectTurn(process, level, quick ? 10 : 200);
      // dynalite has compiled its code where it has stored much, and not yet where little.
      for (let more = 0; more < (quick ? 0 : 2); more += 1) await turn();
      turns.push([String(level), turn]);
    }
    return await interleaved(rounds, Object.fromEntries(turns));
  } finally {
    await Promise.all(closing.map((close) => close()));
  }
}

/** DynamoDB takes no more in a batch. */
const rowsEach = 25;

async function store(connections: number, endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const client = new DynamoDBClient({ endpoint, region: 'us-east-1', credentials });
  for (let first = 0; first < connections; first += rowsEach) {
    const puts = Array.from({ length: Math.min(rowsEach, connections - first) }, (_, at) => {
      const lease = leaseFrom(connectionId(first + at), Date.now());
      const [openedAt, expiresAt] = [{ N: String(lease.openedAt) }, { N: String(lease.expiresAt) }];
      return { PutRequest: { Item: { connectionId: { S: lease.connectionId }, openedAt, expiresAt } } };
    });
    await client.send(new BatchWriteItemCommand({ RequestItems: { ConnectionTable: puts } }));
  }
  client.destroy();
}

/** New connections beside those that are stored; they leave before the next turn. */
async function connectTurn(process: MeasuredProcess, stored: number, count: number): Promise<Figures> {
  const ids = Array.from({ length: count }, (_, at) => connectionId(stored + at));
  const { ms, cpuUs } = await process.call(ids.map((id) => [0, lifecycleEvent('CONNECT', id)]));
  await process.call(ids.map((id) => [1, lifecycleEvent('DISCONNECT', id)]));
  return { time: ms / count, CPU: cpuUs / count / 1000 };
}

async function measureReplies(levels: readonly number[], { quick, rounds, node }: BenchContext, bundles: Bundles) {
  const aws = await startFakeAws();
  const processes: MeasuredProcess[] = [];
  try {
    const turns: [string, Turn][] = [];
    for (const level of levels) {
      const env = functionEnv({ awsUrl: aws.url });
      const process = await startMeasured(node, [bundles.packaged('consumer')], env);
      processes.push(process);
      for (let first = 0; first < level; first += 1000) await reply(process, first, Math.min(1000, level - first));
      // Or else the process with few connections would be the one whose code is not compiled yet.
      for (let more = 0; more < (quick ? 0 : 4); more += 1) await reply(process, 0, 1000);
      turns.push([String(level), () => reply(process, 0, quick ? repliesEach : 1000)]);
    }
    return await interleaved(rounds, Object.fromEntries(turns));
  } finally {
    await Promise.all(processes.map((process) => process.close()));
    await aws.close();
  }
}

/** One reply to each of so many connections. */
async function reply(process: MeasuredProcess, first: number, count: number): Promise<Figures> {
  const ids = Array.from({ length: count }, (_, at) => connectionId(first + at));
  const calls = Array.from({ length: count / repliesEach }, (_, at) => {
    return [0, repliesEvent(ids.slice(at * repliesEach, (at + 1) * repliesEach))] as const;
  });
  const { ms, cpuUs } = await process.call(calls);
  return { time: ms / count, CPU: cpuUs / count / 1000 };
}

const connectNote = 'The table is that of the local stack.';
const replyNote =
  'The process has posted one reply to each of so many connections. It asks no table for a plain reply, so no ' +
  'connection is stored.';

function rowsOf(row: string, levels: readonly number[], note: string, measured: Rounds<string>): Row[] {
  const [least = 0, ...more] = levels;
  const figuresAt = (level: number, metric: string) => metricOf(measured[level] ?? [], metric);
  return more.flatMap((level) =>
    ['time', 'CPU'].map((metric) => ({
      row,
      ours: `${thousands(level)} connections`,
      against: `${thousands(least)} connections`,
      metric,
      unit: 'ms',
      ourFigures: figuresAt(level, metric),
      theirFigures: figuresAt(least, metric),
      goal: { atMost: 1.15 },
      note,
    })),
  );
}
