import { deadLetterQueue } from '../../../infra/topology';
import { deleteQueues, queueNames } from '../../helpers/amqp';
import { freePorts } from '../../helpers/ports';
import { startStack } from '../../helpers/stack';
import { type Bench, type BenchContext, metricOf, type Result, type Row } from '../bench';
import { type Program, startProgram } from '../program';
import type { Crowd, Question, TurnFigures } from '../round-trip/crowd';
import { type Figures, interleaved, type Rounds } from '../rounds';

/**
 * The local stack as `npm start` runs it, against the NestJS gateway that it replaces, as people run that, and made to keep
 * the same promise: all on one RabbitMQ, before one service, to the same crowd of clients.
 */

/** The largest first, to warm the gateways up: V8 has more to compile of the stack than of any other. */
const crowdSizes = [100, 10, 1];
const [turnMs, warmUpMs] = [2000, 10_000];
const rivals = ['ours', 'same', 'asRun'] as const;
type Rival = (typeof rivals)[number];

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
    const talk = (rival: Rival, clients: number, ms: number) =>
      crowd.ask<TurnFigures>({ turn: `${rival} ${clients}`, ms } satisfies Question);
    for (const clients of crowdSizes) {
      for (const rival of rivals) {
        await crowd.ask({ open: { name: `${rival} ${clients}`, clients, ...gateways[rival] } } satisfies Question);
      }
    }
    if (!quick) for (const rival of rivals) await talk(rival, Math.max(...crowdSizes), warmUpMs);
    const results: Result[] = [];
    for (const clients of crowdSizes) {
      const turn = (rival: Rival) => async (): Promise<Figures> => {
        const figures = await talk(rival, clients, quick ? 1000 : turnMs);
        return { ...figures, perSecond: figures.replies / (figures.ms / 1000) };
      };
      results.unshift(resultOf(clients, await interleaved(rounds, eachRival(turn))));
    }
    return { rows: results.flatMap(({ rows }) => rows), counts: results.flatMap(({ counts }) => counts) };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

function eachRival<T>(of: (rival: Rival) => T): Record<Rival, T> {
  return { ours: of('ours'), same: of('same'), asRun: of('asRun') };
}

function resultOf(clients: number, figures: Rounds<Rival>): Result {
  const crowd = `round trip, ${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const total = (rival: Rival, metric: string) => sum(metricOf(figures[rival], metric));
  const fate = (rival: Rival) => {
    const refused = total(rival, 'refused');
    return `${total(rival, 'lost')} of ${total(rival, 'acked')} lost${refused > 0 ? `, ${refused} refused` : ''}`;
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
      note: `1 KB each way; ours: ${fate('ours')}; theirs: ${fate(rival)}`,
    };
  };
  const rows = (['same', 'asRun'] as const).flatMap((rival) =>
    (['perSecond', 'p50Ms', 'p99Ms'] as const).map((metric) => row(rival, metric)),
  );
  return { rows, counts: [{ count: `${crowd}: lost`, found: total('ours', 'lost'), expected: 0 }] };
}

const goals: Record<string, Row['goal']> = { 'perSecond 100': { atLeast: 0.8 }, 'p50Ms 1': { atMost: 1.5 } };

/** Nest finds its packages by itself, and they are ES modules. */
const nestBundle = { tsconfig: 'test/bench/nest/tsconfig.json', packages: 'external', format: 'esm' } as const;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
