import { deadLetterQueue } from '../../../infra/topology';
import { deleteQueues, queueNames } from '../../helpers/amqp';
import { freePorts } from '../../helpers/ports';
import { startStack } from '../../helpers/stack';
import { type Bench, type BenchContext, metricOf, type Result, type Row } from '../bench';
import { type Program, startProgram } from '../program';
import type { TurnFigures } from '../round-trip/client';
import type { Crowd, Question } from '../round-trip/crowd';
import { interleaved, type Rounds } from '../rounds';

/**
 * The local stack as `npm start` runs it, against the NestJS gateway that it replaces, as people run that, and made to
 * keep the same promise: all on one RabbitMQ, before one service, to the same crowd of clients.
 */

/** The largest first, to warm the gateways up: V8 has more to compile of the stack than of any other. */
const crowdSizes = [100, 10, 1];
const [turnMs, warmUpMs] = [2000, 10_000];
const rivals = ['ours', 'same', 'asRun'] as const;
type Rival = (typeof rivals)[number];

interface Taken {
  rival: Rival;
  clients: number;
  figures: TurnFigures;
}

interface Gateway {
  speaks: Crowd['speaks'];
  url: string;
}

export const roundTrip: Bench = {
  name: 'round-trip',
  about: 'npm start on RabbitMQ against the NestJS gateway, at 1, 10 and 100 clients: loss, latency, messages a second',
  needs: 'RabbitMQ',
  run,
};

async function run({ quick, rounds, amqpUrl = '' }: BenchContext): Promise<Result> {
  const queues = eachRival(queueNames);
  const names = rivals.flatMap((rival) => [queues[rival].apiQueue, queues[rival].wsQueue]);
  const stops: (() => Promise<unknown>)[] = [
    () => deleteQueues(amqpUrl, ...names, deadLetterQueue(queues.ours.wsQueue)),
  ];
  const start = async (file: string, env: Record<string, string>, bundle = {}): Promise<Program> => {
    // All run with the Node that runs `npm start`.
    const program = await startProgram({ file, env, bundle, node: process.execPath });
    stops.push(program.stop);
    return program;
  };
  const startOurs = async (): Promise<Gateway> => {
    const stack = await startStack({ ...queues.ours.env, AMQP_URL: amqpUrl, EXAMPLE_WORKER: 'false' });
    stops.push(stack.stop);
    return { speaks: 'gateway', url: stack.webSocketUrl };
  };
  const startNest = async (rival: Rival, PROMISE: string): Promise<Gateway> => {
    const [PORT] = (await freePorts(1)).map(String) as [string];
    const env = { ...queues[rival].env, AMQP_URL: amqpUrl, PORT, PROMISE };
    await start('test/bench/nest/gateway.ts', env, nestBundle);
    return { speaks: 'socket.io', url: `http://127.0.0.1:${PORT}` };
  };

  try {
    const pairs = Object.values(queues).map(({ apiQueue, wsQueue }) => [apiQueue, wsQueue]);
    const QUEUES = JSON.stringify(Object.fromEntries(pairs));
    await start('test/bench/round-trip/service.ts', { AMQP_URL: amqpUrl, QUEUES });
    const gateways: Record<Rival, Gateway> = {
      ours: await startOurs(),
      same: await startNest('same', 'same'),
      asRun: await startNest('asRun', 'none'),
    };
    const crowd = await start('test/bench/round-trip/crowd.ts', {});
    // Of all turns, also of those whose time does not count: a message is lost whenever it is.
    const taken: Taken[] = [];
    const takeTurn = async (rival: Rival, clients: number, ms: number) => {
      const figures = await crowd.ask<TurnFigures>({ turn: `${rival} ${clients}`, ms } satisfies Question);
      taken.push({ rival, clients, figures });
      return figures;
    };
    for (const clients of crowdSizes) {
      for (const rival of rivals) {
        await crowd.ask({ open: { name: `${rival} ${clients}`, clients, ...gateways[rival] } } satisfies Question);
      }
    }
    if (!quick) for (const rival of rivals) await takeTurn(rival, Math.max(...crowdSizes), warmUpMs);
    const results: Result[] = [];
    for (const clients of crowdSizes) {
      const turn = (rival: Rival) => () => takeTurn(rival, clients, quick ? 1000 : turnMs);
      const measured = await interleaved(rounds, eachRival(turn));
      const ofCrowd = taken.filter((each) => each.clients === clients);
      results.unshift(resultOf(clients, measured, ofCrowd));
    }
    return { rows: results.flatMap(({ rows }) => rows), counts: results.flatMap(({ counts }) => counts) };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

function eachRival<T>(of: (rival: Rival) => T): Record<Rival, T> {
  return { ours: of('ours'), same: of('same'), asRun: of('asRun') };
}

function resultOf(clients: number, figures: Rounds<Rival>, taken: readonly Taken[]): Result {
  const crowd = `round trip, ${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const turnsOf = (rival: Rival) => taken.flatMap((each) => (each.rival === rival ? each.figures : []));
  const total = (rival: Rival, what: string) => sum(metricOf(turnsOf(rival), what));
  const account = (rival: Rival) => {
    const others = (['refused', 'unacked', 'misdelivered', 'duplicates'] as const)
      .map((what) => [total(rival, what), what] as const)
      .filter(([count]) => count > 0);
    return [`${total(rival, 'lost')} of ${total(rival, 'acked')} lost`, ...others.map((each) => each.join(' '))].join(
      ', ',
    );
  };
  const row = (rival: Rival, metric: 'perSecond' | 'p50Ms' | 'p99Ms'): Row => {
    const goal = rival === 'same' ? goals[`${metric} ${clients}`] : undefined;
    return {
      row: crowd,
      ours: 'npm start',
      against: rival === 'same' ? 'NestJS gateway made to give the same promise' : 'NestJS gateway as people run it',
      metric: { perSecond: 'msg/s', p50Ms: 'p50', p99Ms: 'p99' }[metric],
      unit: metric === 'perSecond' ? 'msg/s' : 'ms',
      ourFigures: metricOf(figures.ours, metric),
      theirFigures: metricOf(figures[rival], metric),
      ...(goal === undefined ? {} : { goal }),
      note: `1 KB each way; in all rounds ours: ${account('ours')}; theirs: ${account(rival)}`,
    };
  };
  const rows = (['same', 'asRun'] as const).flatMap((rival) =>
    (['perSecond', 'p50Ms', 'p99Ms'] as const).map((metric) => row(rival, metric)),
  );
  const silentTurns = turnsOf('ours').filter(({ acked }) => acked === 0).length;
  // Not the duplicates: a post that is slow to be answered is made again, and a reply is promised at least once.
  const counts = [
    { count: `${crowd}: lost`, found: total('ours', 'lost') },
    { count: `${crowd}: refused or never acknowledged`, found: total('ours', 'refused') + total('ours', 'unacked') },
    { count: `${crowd}: replies to the wrong client`, found: total('ours', 'misdelivered') },
    { count: `${crowd}: turns without an acknowledged message`, found: silentTurns },
  ];
  return { rows, counts: counts.map((each) => ({ ...each, expected: 0 })) };
}

const goals: Record<string, Row['goal']> = { 'perSecond 100': { atLeast: 0.8 }, 'p50Ms 1': { atMost: 1.5 } };

/** Nest finds its packages by itself, and they are ES modules. */
const nestBundle = { tsconfig: 'test/bench/nest/tsconfig.json', packages: 'external', format: 'esm' } as const;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
