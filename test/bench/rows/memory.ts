import { randomUUID } from 'node:crypto';
import amqp from 'amqplib';
import type { Bench, Row } from '../bench';
import { startEmbedded } from '../broker/brokers';
import { startBundles } from '../bundles';
import { connectionId, repliesEvent, sendEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { type Call, functionEnv, type MeasuredProcess, startMeasured } from '../measured';

/** Whether a process that serves for hours stays as small as it was: each message is of, or to, another connection. */

interface WarmProcess {
  row: string;
  name: string;
  callsFor(first: number): Call[];
  /** Events under way together; a mapping gives a consumer one at a time. */
  atOnce: number;
  /** Of Node. */
  flags: readonly string[];
  goal?: { atMost: number };
  note: string;
}

const ofTheirOwn = {
  flags: [],
  goal: { atMost: 1.1 },
  note: 'With the limits of the heap that Node sets itself. Two rounds at most, of a process each.',
};
const warmProcesses: readonly WarmProcess[] = [
  { row: 'memory of a warm send', name: 'send', callsFor: sends, atOnce: 50, ...ofTheirOwn },
  { row: 'memory of a warm consumer', name: 'consumer', callsFor: replies, atOnce: 1, ...ofTheirOwn },
  {
    row: 'memory of a warm consumer of 512 MB',
    name: 'consumer',
    callsFor: replies,
    atOnce: 1,
    flags: ['--max-semi-space-size=25', '--max-old-space-size=461'],
    note: 'With the limits that Lambda sets: what V8 keeps for young objects grows to 67 MB in 10,000 messages, and no more. Two rounds at most.',
  },
];

/** Garbage is collected after as many. */
const messagesEach = 1000;
/** A process of each takes most of a minute. */
const mostRounds = 2;

export const memory: Bench = {
  name: 'memory',
  about: 'what a warm process holds after 50,000 messages, beside after 5,000',

  async run({ quick, rounds, amqpUrl, node }) {
    const [early, late] = quick ? [1000, 2000] : [5000, 50_000];
    const broker = amqpUrl === undefined ? await startEmbedded() : { url: amqpUrl, close: async () => undefined };
    const [bundles, aws, queue] = await Promise.all([startBundles(), startFakeAws(), openShortQueue(broker.url)]);
    const env = functionEnv({ awsUrl: aws.url, amqpUrl: broker.url, apiQueue: queue.name });
    const measure = async (each: WarmProcess): Promise<Row> => {
      const earlyMb: number[] = [];
      const lateMb: number[] = [];
      for (let round = 0; round < Math.min(rounds, mostRounds); round += 1) {
        const process = await startMeasured(node, [bundles.packaged(each.name)], env, each.flags);
        earlyMb.push(await residentMbAfter(process, each, 0, early));
        lateMb.push(await residentMbAfter(process, each, early, late));
        await process.close();
      }
      return {
        row: each.row,
        ours: `after ${late} messages`,
        against: `after ${early}`,
        metric: 'RSS',
        unit: 'MB',
        ourFigures: lateMb,
        theirFigures: earlyMb,
        ...(each.goal === undefined ? {} : { goal: each.goal }),
        note: each.note,
      };
    };
    try {
      // All together: what they hold does not depend on how fast they are.
      return { rows: await Promise.all(warmProcesses.map(measure)), counts: [] };
    } finally {
      await queue.close();
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

/** Hands over the messages from one number up to another. */
async function residentMbAfter(
  process: MeasuredProcess,
  { callsFor, atOnce }: WarmProcess,
  from: number,
  to: number,
): Promise<number> {
  let residentBytes = 0;
  for (let first = from; first < to; first += messagesEach) {
    ({ rssBytes: residentBytes } = await process.call(callsFor(first), atOnce));
  }
  return residentBytes / 1e6;
}

function sends(first: number): Call[] {
  return Array.from({ length: messagesEach }, (_, at) => [0, sendEvent(connectionId(first + at), 1024)]);
}

function replies(first: number): Call[] {
  const eventsEach = 10;
  const repliesEach = messagesEach / eventsEach;
  return Array.from({ length: eventsEach }, (_, event) => {
    const ids = Array.from({ length: repliesEach }, (_, at) => connectionId(first + event * repliesEach + at));
    return [0, repliesEvent(ids)];
  });
}

/** It drops its oldest: nobody takes what lies in it. */
async function openShortQueue(url: string) {
  const connection = await amqp.connect(url, { noDelay: true });
  const channel = await connection.createChannel();
  const name = `bench_${randomUUID()}`;
  await channel.assertQueue(name, { arguments: { 'x-max-length': 100 } });
  return {
    name,
    async close() {
      await channel.deleteQueue(name);
      await connection.close();
    },
  };
}
