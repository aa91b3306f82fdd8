import { randomBytes } from 'node:crypto';
import { type Bench, metricOf, type Row } from '../bench';
import { startBundles } from '../bundles';
import { lifecycleEvent } from '../events';
import { startFakeAws } from '../fake-aws';
import { type Call, functionEnv, type MeasuredProcess, startMeasured } from '../measured';
import { interleaved } from '../rounds';

/** What a client costs that comes and goes: a row that is written, and deleted. */
export const connectAndDisconnect: Bench = {
  name: 'connect-disconnect',
  about: 'connect and disconnect, warm, one after the other',

  async run({ quick, rounds, node }) {
    const clients = quick ? 50 : 500;
    const [bundles, aws, theirAws] = await Promise.all([startBundles(), startFakeAws(), startFakeAws()]);
    const start = (files: string[], awsUrl: string) => startMeasured(node, files, functionEnv({ awsUrl }));
    const names = ['connect', 'disconnect'];
    const plain = await Promise.all(names.map((name) => bundles.plain(`test/bench/plain/${name}.ts`)));
    const [ours, theirs] = await Promise.all([start(names.map(bundles.packaged), aws.url), start(plain, theirAws.url)]);
    try {
      let called = 0;
      const turn = (rival: MeasuredProcess) => async () => {
        const { ms, cpuUs } = await rival.call(visits(clients));
        if (rival === ours) called += clients;
        return { time: (ms * 1000) / clients, CPU: cpuUs / clients };
      };
      const figures = await interleaved(rounds, { ours: turn(ours), theirs: turn(theirs) });

      const row = (metric: string): Row => ({
        row: 'connect + disconnect',
        ours: 'handlers',
        against: 'lib-dynamodb put, delete',
        metric,
        unit: 'µs',
        ourFigures: metricOf(figures.ours, metric),
        theirFigures: metricOf(figures.theirs, metric),
        note,
      });
      const requestsPer = (operation: string) => (aws.requests.get(operation) ?? 0) / called;
      return {
        rows: [{ ...row('CPU'), goal: { atMost: 0.8 } }, row('time')],
        counts: [
          { count: 'DynamoDB requests per connect', found: requestsPer('PutItem'), expected: 1 },
          { count: 'DynamoDB requests per disconnect', found: requestsPer('DeleteItem'), expected: 1 },
          { count: 'operations of connect and disconnect on DynamoDB', found: aws.requests.size, expected: 2 },
        ],
      };
    } finally {
      await Promise.all([ours.close(), theirs.close()]);
      await Promise.all([bundles.close(), aws.close(), theirAws.close()]);
    }
  },
};

/** A connect and a disconnect of each client, one after another. */
function visits(clients: number): Call[] {
  return Array.from({ length: clients }, () => `${randomBytes(11).toString('base64')}`).flatMap((connectionId) => [
    [0, lifecycleEvent('CONNECT', connectionId)],
    [1, lifecycleEvent('DISCONNECT', connectionId)],
  ]);
}

const note =
  'test/bench/plain: the same two handlers with DynamoDBDocumentClient and zod, without conditions, logs and ' +
  'metrics. A stand-in of DynamoDB answers at once. Of both together, of one client.';
