import { randomBytes } from 'node:crypto';
import amqp, { type Channel } from 'amqplib';
import { startWiretap } from '../../helpers/wiretap';
import { type Bench, type Count, metricOf, type Row } from '../bench';
import { rabbitmqAt, startEmbedded } from '../broker/brokers';
import { type Bundles, startBundles } from '../bundles';
import { sendEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { type Call, functionEnv, type MeasuredProcess, startMeasured } from '../measured';
import { interleaved } from '../rounds';

/** What a warm `send` takes for a message of 1 KB, to its confirm. */
export const warmSend: Bench = {
  name: 'send',
  about: 'send, warm, to the confirm of a persistent message: one after another, and 50 at once',

  async run({ quick, rounds, amqpUrl, node }) {
    const [bundles, aws] = await Promise.all([startBundles(), startFakeAws()]);
    const broker = amqpUrl === undefined ? await startEmbedded() : rabbitmqAt(amqpUrl);
    const queue = await openQueue(broker.url);
    const env = functionEnv({ awsUrl: aws.url, amqpUrl: broker.url, apiQueue: queue.name });
    const start = (bundle: string) => startMeasured(node, [bundle], env);
    const processes: MeasuredProcess[] = [];
    try {
      const paths = [
        bundles.packaged('send'),
        await bundles.plain('test/bench/plain/publish.ts'),
        await bundles.plain('test/bench/plain/publish-each.ts'),
      ];
      for (const path of paths) processes.push(await start(path));
      const [ours, alone, each] = processes as [MeasuredProcess, MeasuredProcess, MeasuredProcess];

      let confirmed = 0;
      let arrived = 0;
      const per = async (rival: MeasuredProcess, calls: Call[], atOnce: number) => {
        const { ms, cpuUs } = await rival.call(calls, atOnce);
        confirmed += calls.length;
        arrived += await queue.purge();
        return { timeUs: (ms * 1000) / calls.length, cpuUs: cpuUs / calls.length };
      };
      const turn =
        (rival: MeasuredProcess, { single, together }: { single: number; together: number }) =>
        async () => {
          // A link that was idle while others had their turn may have been closed.
          await per(rival, messages(atOnce), atOnce);
          const one = await per(rival, messages(single), 1);
          const fifty = await per(rival, messages(together), atOnce);
          const strangers = rival === ours ? await per(rival, messages(single, newConnection), 1) : one;
          return {
            oneTime: one.timeUs,
            oneCPU: one.cpuUs,
            fiftyTime: fifty.timeUs,
            fiftyCPU: fifty.cpuUs,
            onePerSecond: 1e6 / one.timeUs,
            fiftyPerSecond: 1e6 / fifty.timeUs,
            strangersTime: strangers.timeUs,
          };
        };
      // Until Node has compiled what is called again and again.
      const warmUp = quick ? atOnce : 100 * atOnce;
      for (const rival of [ours, alone]) await per(rival, messages(warmUp), atOnce);
      const many = quick ? { single: 20, together: 2 * atOnce } : { single: 300, together: 20 * atOnce };
      const few = quick ? { single: 2, together: 10 } : { single: 20, together: 2 * atOnce };
      const figures = await interleaved(rounds, {
        ours: turn(ours, many),
        alone: turn(alone, many),
        each: turn(each, few),
      });

      const against = (theirs: 'alone' | 'each', how: string, metric: string, theirMetric = metric) => ({
        row: `send, ${how}`,
        ours: 'handler',
        against: theirs === 'alone' ? 'amqplib alone' : 'a connection each',
        ourFigures: metricOf(figures.ours, metric),
        theirFigures: metricOf(figures[theirs], theirMetric),
        note: theirs === 'alone' ? aloneNote : eachNote,
      });
      const rows: Row[] = [
        { ...against('alone', one, 'oneTime'), metric: 'time', unit: 'µs', goal: { atMost: 1.1 } },
        { ...against('alone', one, 'oneCPU'), metric: 'CPU', unit: 'µs', goal: { atMost: 1.25 } },
        { ...against('alone', fifty, 'fiftyTime'), metric: 'time', unit: 'µs', goal: { atMost: 1.1 } },
        { ...against('alone', fifty, 'fiftyCPU'), metric: 'CPU', unit: 'µs', goal: { atMost: 1.25 } },
        { ...against('alone', strangers, 'strangersTime', 'oneTime'), metric: 'time', unit: 'µs' },
        { ...against('each', one, 'onePerSecond'), metric: 'msg/s', unit: 'msg/s', goal: { atLeast: 3 } },
        { ...against('each', fifty, 'fiftyPerSecond'), metric: 'msg/s', unit: 'msg/s', goal: { atLeast: 3 } },
      ];
      const lost = { count: 'confirmed messages that are not in the queue', found: confirmed - arrived, expected: 0 };
      return { rows, counts: [lost, ...(await countsOf(bundles, env, node))] };
    } finally {
      await Promise.all(processes.map((each) => each.close()));
      await queue.delete();
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

const atOnce = 50;
const one = 'one after another';
const fifty = '50 at once';
const strangers = 'each from another connection';

/** What does not vary: on the wire to the broker, and asked of DynamoDB, for messages of one connection at once. */
async function countsOf(bundles: Bundles, env: Record<string, string>, node: string): Promise<Count[]> {
  const wire = await startWiretap(env.AMQP_URL as string);
  const aws = await startFakeAws();
  const its = { ...env, AMQP_URL: wire.url, AWS_ENDPOINT_URL_DYNAMODB: aws.url };
  const send = await startMeasured(node, [bundles.packaged('send')], its);
  try {
    await send.call(messages(atOnce), atOnce);
    const [said] = wire.connections;
    const requests = (operation: string) => aws.requests.get(operation) ?? 0;
    return [
      { count: 'AMQP connections of a send process', found: wire.connections.length, expected: 1 },
      { count: 'AMQP channels of a send process', found: said?.channels ?? 0, expected: 1 },
      { count: 'AMQP frames per send', found: (said?.publishFrames ?? 0) / atOnce, expected: 3 },
      { count: 'reads of DynamoDB for 50 sends of a connection at once', found: requests('GetItem'), expected: 1 },
      { count: 'writes of DynamoDB for 50 sends of a connection at once', found: requests('UpdateItem'), expected: 1 },
    ];
  } finally {
    await send.close();
    await Promise.all([wire.close(), aws.close()]);
  }
}

function messages(count: number, connection = () => 'L0SM9cOFvHcCIhw='): Call[] {
  return Array.from({ length: count }, () => [0, sendEvent(connection(), 1024)]);
}

function newConnection(): string {
  return randomBytes(11).toString('base64');
}

interface Queue {
  name: string;
  /** Resolves with how many messages were in it. */
  purge(): Promise<number>;
  delete(): Promise<void>;
}

async function openQueue(url: string): Promise<Queue> {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel: Channel = await connection.createChannel();
  const name = `bench-send-${process.pid}`;
  await channel.assertQueue(name, { durable: true });
  return {
    name,
    purge: async () => (await channel.purgeQueue(name)).messageCount,
    async delete() {
      await channel.deleteQueue(name);
      await connection.close();
    },
  };
}

const aloneNote =
  'test/bench/plain/publish.ts: a confirm channel, 1 KB, persistent, mandatory, to the confirm; no frame is read, nothing checked, ' +
  'answered or counted. Ours: frames of 1 KB of one connection that goes on sending, metrics on.';
const eachNote =
  'test/bench/plain/publish-each.ts: connects, publishes, waits for the confirm and closes, for each message.';
