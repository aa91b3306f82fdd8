import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from 'amqplib';
import { replyQueues } from '../../../infra/topology';
import { replyQueueOf } from '../../../lib/reply-shard';
import { deleteQueues, openChannel, queueNames } from '../../helpers/amqp';
import { closeServer } from '../../helpers/http-server';
import { type Bench, metricOf, type Row } from '../bench';
import { brokerOf } from '../broker/brokers';
import { startBundles } from '../bundles';
import { functionEnv } from '../measured';
import { startProgram } from '../program';
import { type Figures, interleaved } from '../rounds';

/**
 * What more queues of replies give where one connection on each is as busy as can be: its posts go one after another,
 * each answered after 20 ms. Every queue has a mapping and a consumer of its own, as on AWS.
 */

const postMs = 20;
const mostShards = 4;

export const shards: Bench = {
  name: 'shards',
  about: 'replies a second by 1, 2 and 4 queues of replies, with a hot connection on each',

  async run({ quick, rounds, amqpUrl, node }) {
    const broker = await brokerOf({ amqpUrl });
    const client = await openChannel(broker.url);
    const { wsQueue } = queueNames();
    const queues = replyQueues({ wsQueue, replyShards: mostShards });
    for (const queue of queues) await client.channel.assertQueue(queue, { durable: true });
    const bundles = await startBundles();
    const connections = await startConnections();
    const consumers = await Promise.all(
      queues.map((queue) => {
        const env = functionEnv({ awsUrl: connections.url, amqpUrl: broker.url, wsQueue });
        const file = 'test/bench/shards/consumer.ts';
        return startProgram({ file, node, env: { ...env, QUEUE: queue, BUNDLE: bundles.packaged('consumer') } });
      }),
    );
    try {
      const each = quick ? 10 : 50;
      const turn = (count: number) => async (): Promise<Figures> => {
        const inUse = queues.slice(0, count);
        const startAt = performance.now();
        const posted = connections.posts(count * each);
        for (const queue of inUse) publishReplies(client.channel, queue, idIn(queue, inUse), each);
        await posted;
        return { perSecond: (count * each) / ((performance.now() - startAt) / 1000) };
      };
      const { one, two, four } = await interleaved(rounds, { one: turn(1), two: turn(2), four: turn(4) });
      const base = metricOf(one, 'perSecond');
      const row = (count: number, figures: readonly Figures[]): Row => ({
        row: `reply shards: ${count}`,
        ours: `${count} queues of replies`,
        against: `${count} times what 1 queue gives`,
        metric: 'replies/s',
        unit: 'replies/s',
        ourFigures: metricOf(figures, 'perSecond'),
        theirFigures: base.map((perSecond) => count * perSecond),
        goal: { atLeast: 0.9 },
        note: `one hot connection on each queue, posts of ${postMs} ms`,
      });
      const counts = [{ count: 'reply shards: replies out of order', found: connections.outOfOrder(), expected: 0 }];
      return { rows: [row(2, two), row(4, four)], counts };
    } finally {
      for (const consumer of consumers) await consumer.stop();
      await connections.close();
      await bundles.close();
      await client.close();
      await deleteQueues(broker.url, ...queues);
      await broker.close();
    }
  },
};

function publishReplies(channel: Channel, queue: string, connectionId: string, count: number): void {
  for (let number = 0; number < count; number += 1) {
    const data = { number, metadata: { socket_id: connectionId } };
    channel.sendToQueue(queue, Buffer.from(JSON.stringify({ pattern: { cmd: 'recv' }, data })), { persistent: true });
  }
}

/** The id of a connection whose replies go to the queue. */
function idIn(queue: string, inUse: readonly string[]): string {
  for (let number = 0; ; number += 1) {
    const id = `hot-${number}=`;
    if (replyQueueOf(id, inUse) === queue) return id;
  }
}

/** @connections that answers after 20 ms, and sees to the order of what it is given. */
async function startConnections() {
  const last = new Map<string, number>();
  let [posts, outOfOrder, awaited] = [0, 0, Number.POSITIVE_INFINITY];
  const server = createServer(async (request, response) => {
    const connectionId = request.url?.split('/').at(-1) as string;
    const { number } = JSON.parse(await text(request)).data;
    const before = last.get(connectionId) ?? -1;
    last.set(connectionId, number);
    await sleep(postMs);
    response.end();
    // A post that was given up, and made again.
    if (number === before) return;
    if (number !== 0 && number !== before + 1) outOfOrder += 1;
    posts += 1;
    if (posts === awaited) server.emit('posts');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when so many more were answered. */
    posts(more: number) {
      awaited = posts + more;
      return once(server, 'posts', { signal: AbortSignal.timeout(300_000) });
    },
    outOfOrder: () => outOfOrder,
    close: () => closeServer(server),
  };
}
