import { deleteQueues, openChannel, queueNames } from '../../helpers/amqp';
import { type Bench, metricOf, type Row } from '../bench';
import { brokerOf } from '../broker/brokers';
import { startBundles } from '../bundles';
import { connectionId, lifecycleEvent, repliesEvent, sendEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { functionEnv, coldStart as start } from '../measured';
import { interleaved, type Turn } from '../rounds';
import { median } from '../statistics';

/** What the first event after a quiet hour waits for: a new process that loads its function and answers. */
export const coldStart: Bench = {
  name: 'cold-start',
  about: 'a new process, from its start until it has answered its first event',

  async run({ quick, rounds, amqpUrl, node }) {
    const broker = await brokerOf({ amqpUrl });
    const [bundles, aws, client] = await Promise.all([startBundles(), startFakeAws(), openChannel(broker.url)]);
    const { apiQueue } = queueNames();
    await client.channel.assertQueue(apiQueue, { durable: true });
    try {
      let starts = 0;
      // Each start is of another connection: what is asked of AWS again is known by that.
      const newConnection = () => {
        starts += 1;
        return connectionId(starts);
      };
      const message = () => sendEvent(newConnection(), 1024);
      const connect = () => lifecycleEvent('CONNECT', newConnection());
      const replies = () => repliesEvent([newConnection()]);
      const env = functionEnv({ awsUrl: aws.url, amqpUrl: broker.url, apiQueue });
      const startsEach = quick ? 1 : startsEachRound;
      const turn =
        (bundle: string, event: () => unknown): Turn =>
        async () => {
          const { ms, cpuUs } = await start(node, bundle, event(), env);
          return { time: ms, CPU: cpuUs / 1000 };
        };
      const plain = (name: string) => bundles.plain(`test/bench/plain/${name}.ts`);
      const [publish, plainConnect, plainConsumer, empty] = await Promise.all([
        plain('publish'),
        plain('connect'),
        plain('consumer'),
        plain('empty'),
      ]);
      const figures = await interleaved(rounds * startsEach, {
        send: turn(bundles.packaged('send'), message),
        amqplib: turn(publish, message),
        connect: turn(bundles.packaged('connect'), connect),
        plainConnect: turn(plainConnect, connect),
        consumer: turn(bundles.packaged('consumer'), replies),
        plainConsumer: turn(plainConsumer, replies),
        empty: turn(empty, () => ({})),
      });

      const rowsOf = (
        ours: Ours,
        theirs: keyof typeof figures,
        against: string,
        atMost?: number,
        note?: string,
      ): Row[] =>
        ['time', 'CPU'].map((metric) => ({
          row: 'cold start',
          ours,
          against,
          metric,
          unit: 'ms',
          ourFigures: mediansOf(startsEach, metricOf(figures[ours], metric)),
          theirFigures: mediansOf(startsEach, metricOf(figures[theirs], metric)),
          ...(atMost === undefined || metric === 'CPU' ? {} : { goal: { atMost } }),
          ...(note === undefined ? {} : { note }),
        }));
      const { messageCount } = await client.channel.checkQueue(apiQueue);
      // The first round, which does not count, has one.
      const expected = 2 * (rounds * startsEach + 1);
      return {
        rows: [
          ...rowsOf('send', 'amqplib', 'amqplib, one publish', 1.15, notes.amqplib),
          ...rowsOf('connect', 'plainConnect', 'plain handler', 0.6, notes.plain),
          ...rowsOf('consumer', 'plainConsumer', 'plain handler', 0.6, notes.plain),
          ...ours.flatMap((name) => rowsOf(name, 'empty', 'empty handler')),
        ],
        counts: [
          { count: 'cold start: messages in the queue', found: messageCount, expected },
          { count: 'cold start: rows written', found: aws.requests.get('PutItem') ?? 0, expected },
          { count: 'cold start: replies posted', found: aws.requests.get('post') ?? 0, expected },
        ],
      };
    } finally {
      await client.close();
      await deleteQueues(broker.url, apiQueue);
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

const ours = ['send', 'connect', 'consumer'] as const;
type Ours = (typeof ours)[number];

/** One alone is told too roughly: the median of so many, which take turns as well, is the figure of a round. */
const startsEachRound = 5;

function mediansOf(size: number, figures: readonly number[]): number[] {
  return Array.from({ length: figures.length / size }, (_, i) => median(figures.slice(i * size, (i + 1) * size)));
}

const notes = {
  amqplib:
    'A bundle of amqplib and nothing else, with noDelay: it connects and publishes 1 KB, persistent and confirmed. ' +
    '`send` also asks DynamoDB whether the connection is in a session. Both are given the URL of the broker in the clear ' +
    'and speak plain TCP; deployed, `send` first reads its secret and speaks TLS. Time and CPU count from the start of ' +
    'the process, the start of Node included.',
  plain:
    'test/bench/plain: the SDK as it comes, its document client, zod, and in the consumer amqplib; bundled and minified ' +
    'as ours are, without what infra/build.ts does about the SDK.',
};
