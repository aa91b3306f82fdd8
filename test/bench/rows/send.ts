import { randomBytes } from 'node:crypto';
import type { Channel } from 'amqplib';
import { deleteQueues, openChannel, queueNames } from '../../helpers/amqp';
import { startWiretap } from '../../helpers/wiretap';
import { type Bench, type Count, metricOf, type Row } from '../bench';
import { brokerOf } from '../broker/brokers';
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
    const broker = await brokerOf({ amqpUrl });
    const client = await openChannel(broker.url);
    const { apiQueue } = queueNames();
    await client.channel.assertQueue(apiQueue, { durable: true });
    const env = functionEnv({ awsUrl: aws.url, amqpUrl: broker.url, apiQueue });
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

      const lost = new Map<MeasuredProcess, number>();
      const perMessage = async (rival: MeasuredProcess, calls: Call[], atOnce: number) => {
        const { ms, cpuUs } = await rival.call(calls, atOnce);
        const arrived = await takeIds(client.channel, apiQueue);
        lost.set(rival, (lost.get(rival) ?? 0) + calls.length - arrived.size);
        return { timeUs: (ms * 1000) / calls.length, cpuUs: cpuUs / calls.length };
      };
      const turn =
        (rival: MeasuredProcess, { single, together }: { single: number; together: number }) =>
        async () => {
          // A link that was idle while others had their turn may have been closed.
          await perMessage(rival, messages(atOnce), atOnce);
          const one = await perMessage(rival, messages(single), 1);
          const fifty = await perMessage(rival, messages(together), atOnce);
          const newcomers = rival === ours ? await perMessage(rival, messages(single, newConnection), 1) : one;
          return {
            oneTime: one.timeUs,
            oneCPU: one.cpuUs,
            fiftyTime: fifty.timeUs,
            fiftyCPU: fifty.cpuUs,
            onePerSecond: 1e6 / one.timeUs,
            fiftyPerSecond: 1e6 / fifty.timeUs,
            newcomersTime: newcomers.timeUs,
          };
        };
      // Until Node has compiled what is called again and again.
      const warmUp = quick ? atOnce : 100 * atOnce;
      for (const rival of [ours, alone]) await perMessage(rival, messages(warmUp), atOnce);
      const warmCounts = quick ? { single: 20, together: 2 * atOnce } : { single: 300, together: 20 * atOnce };
      const connectingCounts = quick ? { single: 2, together: 10 } : { single: 20, together: 2 * atOnce };
      const figures = await interleaved(rounds, {
        ours: turn(ours, warmCounts),
        alone: turn(alone, warmCounts),
        each: turn(each, connectingCounts),
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
        { ...against('alone', newcomers, 'newcomersTime', 'oneTime'), metric: 'time', unit: 'µs' },
        { ...against('each', one, 'onePerSecond'), metric: 'msg/s', unit: 'msg/s', goal: { atLeast: 3 } },
        { ...against('each', fifty, 'fiftyPerSecond'), metric: 'msg/s', unit: 'msg/s', goal: { atLeast: 3 } },
      ];
      const found = lost.get(ours) ?? 0;
      const count: Count = { count: 'confirmed messages that are not in the queue', found, expected: 0 };
      return { rows, counts: [count, ...(await countsOf(bundles, env, node))] };
    } finally {
      await Promise.all(processes.map((each) => each.close()));
      await client.close();
      await deleteQueues(broker.url, apiQueue);
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

const atOnce = 50;
const one = 'one after another';
const fifty = '50 at once';
const newcomers = 'each from another connection';

/** What does not vary: on the wire to the broker, and asked of DynamoDB, for messages of one connection at once. */
async function countsOf(bundles: Bundles, env: Record<string, string>, node: string): Promise<Count[]> {
  const wire = await startWiretap(env.AMQP_URL as string);
  const aws = await startFakeAws();
  const watchedEnv = { ...env, AMQP_URL: wire.url, AWS_ENDPOINT_URL_DYNAMODB: aws.url };
  const send = await startMeasured(node, [bundles.packaged('send')], watchedEnv);
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

/** Numbered, so that a message that is twice in the queue makes up for none that is not. */
function messages(count: number, connection = () => 'L0SM9cOFvHcCIhw='): Call[] {
  return Array.from({ length: count }, (_, number) => [0, sendEvent(connection(), 1024, String(number))]);
}

function newConnection(): string {
  return randomBytes(11).toString('base64');
}

/** Empties the queue; resolves with the ids of the frames whose messages were in it. */
async function takeIds(channel: Channel, queue: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return ids;
    ids.add(/"(?:client_)?id":"(\d+)"/.exec(String(message.content))?.[1] ?? '');
  }
}

const aloneNote =
  'test/bench/plain/publish.ts: a confirm channel, 1 KB, persistent, mandatory, to the confirm; no frame is read, ' +
  'nothing checked, answered or counted. Ours: frames of 1 KB of one connection that goes on sending, metrics on.';
const eachNote =
  'test/bench/plain/publish-each.ts: connects, publishes, waits for the confirm and closes, for each message.';
