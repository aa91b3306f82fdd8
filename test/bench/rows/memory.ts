import { deleteQueues, openChannel, queueNames } from '../../helpers/amqp';
import { type Bench, metricOf, type Row } from '../bench';
import { brokerOf } from '../broker/brokers';
import { startBundles } from '../bundles';
import { connectionId, repliesEvent, sendEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { type Call, functionEnv, type MeasuredProcess, startMeasured } from '../measured';
import { thousands } from '../report';

/** Whether a process that serves for hours stays as small as it was: each message is of, or to, another connection. */

interface WarmProcess {
  row: string;
  name: string;
  callsFor(first: number): Call[];
  /** Events under way together; a mapping gives a consumer one at a time. */
  atOnce: number;
  /** Of Node. */
  flags: readonly string[];
  note: string;
}

const send = { name: 'send', callsFor: sends, atOnce: 50 };
const consumer = { name: 'consumer', callsFor: replies, atOnce: 1 };
const ofNode = {
  flags: [],
  note:
    'With the limits of the heap that Node sets itself: room for young objects of up to three times 16 MB. Two rounds at ' +
    'most, of a process each.',
};
const warmProcesses: readonly WarmProcess[] = [
  { row: 'memory of a warm send', ...send, ...ofNode },
  { row: 'memory of a warm consumer', ...consumer, ...ofNode },
  { row: 'memory of a warm send of 256 MB', ...send, ...ofLambda(256) },
  { row: 'memory of a warm consumer of 512 MB', ...consumer, ...ofLambda(512) },
];

/** As published bootstraps of Lambda's Node have had it: a twentieth of the memory, and nine tenths. */
function ofLambda(memoryMb: number): Pick<WarmProcess, 'flags' | 'note'> {
  const [youngMb, oldMb] = [Math.floor(memoryMb * 0.05), Math.ceil(memoryMb * 0.9)];
  const flags = [`--max-semi-space-size=${youngMb}`, `--max-old-space-size=${oldMb}`];
  return {
    flags,
    note:
      `With ${flags.join(' ')}, as published bootstraps of Lambda have had it for ${memoryMb} MB. ` +
      `What grows beside the heap is V8's room for young objects: up to three times ${youngMb} MB, and no more. ` +
      'Two rounds at most, of a process each.',
  };
}

/** Handed over together: what waits to be served is memory too, and Lambda holds no more. */
const messagesEach = 100;
/** A process of each takes most of a minute. */
const mostRounds = 2;

export const memory: Bench = {
  name: 'memory',
  about: 'what a warm process holds after 50,000 messages, beside after 5,000',

  async run({ quick, rounds, amqpUrl, node }) {
    const [early, late] = quick ? [1000, 2000] : [5000, 50_000];
    const broker = await brokerOf({ amqpUrl });
    const [bundles, aws, client] = await Promise.all([startBundles(), startFakeAws(), openChannel(broker.url)]);
    const { apiQueue } = queueNames();
    // It drops its oldest: nobody takes what lies in it.
    await client.channel.assertQueue(apiQueue, { durable: true, arguments: { 'x-max-length': 100 } });
    const env = functionEnv({ awsUrl: aws.url, amqpUrl: broker.url, apiQueue });
    const measure = async (each: WarmProcess): Promise<Row[]> => {
      const earlyMb: Held[] = [];
      const lateMb: Held[] = [];
      for (let round = 0; round < Math.min(rounds, mostRounds); round += 1) {
        const process = await startMeasured(node, [bundles.packaged(each.name)], env, each.flags);
        earlyMb.push(await heldAfter(process, each, 0, early));
        lateMb.push(await heldAfter(process, each, early, late));
        await process.close();
      }
      return (['RSS', 'heap'] as const).map((metric) => ({
        row: each.row,
        ours: `after ${thousands(late)} messages`,
        against: `after ${thousands(early)}`,
        metric,
        unit: 'MB',
        ourFigures: metricOf(lateMb, metric),
        theirFigures: metricOf(earlyMb, metric),
        goal: { atMost: 1.1 },
        note: each.note,
      }));
    };
    try {
      // All together: what they hold does not depend on how fast they are.
      return { rows: (await Promise.all(warmProcesses.map(measure))).flat(), counts: [] };
    } finally {
      await client.close();
      await deleteQueues(broker.url, apiQueue);
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

/** Megabytes; `heap` is what the objects take that are in use. */
type Held = { RSS: number; heap: number };

/** Hands over the messages from one number up to another. */
async function heldAfter(
  process: MeasuredProcess,
  { callsFor, atOnce }: WarmProcess,
  from: number,
  to: number,
): Promise<Held> {
  for (let first = from; first < to; first += messagesEach) await process.serve(callsFor(first), atOnce);
  const { rssBytes, heapBytes } = await process.memory();
  return { RSS: rssBytes / 1e6, heap: heapBytes / 1e6 };
}

function sends(first: number): Call[] {
  return Array.from({ length: messagesEach }, (_, at) => [0, sendEvent(connectionId(first + at), 1024)]);
}

function replies(first: number): Call[] {
  return [[0, repliesEvent(Array.from({ length: messagesEach }, (_, at) => connectionId(first + at)))]];
}
