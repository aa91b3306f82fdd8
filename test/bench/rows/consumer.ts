import { type AddressInfo, createServer } from 'node:net';
import { type Bench, type Count, metricOf, type Row } from '../bench';
import { startBundles } from '../bundles';
import { connectionId, repliesEvent, sessionId } from '../events';
import { type FakeAws, startFakeAws } from '../fake-aws';
import { functionEnv, type MeasuredProcess, startMeasured } from '../measured';
import { type Figures, interleaved, type Rounds, type Turn } from '../rounds';

/** What it takes to bring events of 100 replies each to their clients, through an @connections that takes 0 or 5 ms. */

const repliesEach = 100;
const shapes = [100, 10, 1].flatMap((connections) => [0, 5].map((postMs) => ({ connections, postMs })));
type Shape = (typeof shapes)[number];

type Rival = 'ours' | 'ours, in sessions' | 'all at once' | 'in turn' | 'undici';

/** What @connections and the tables saw of a rival. */
interface Seen {
  replies: number;
  /** As many, unless one was not posted. */
  distinctReplies: number;
  /** Of all events the connections, or sessions. */
  receivers: number;
  posts: number;
  tableRequests: number;
  late: number;
  beside: number;
}

export const consumer: Bench = {
  name: 'consumer',
  about: 'replies on their way to clients: CPU, time and order',

  async run({ quick, rounds, node }) {
    const [bundles, aws, broker] = await Promise.all([startBundles(), startFakeAws(), startWatchedPort()]);
    const env = functionEnv({ awsUrl: aws.url, amqpUrl: `amqp://127.0.0.1:${broker.port}` });
    const files: Record<Rival, string> = {
      ours: bundles.packaged('consumer'),
      'ours, in sessions': bundles.packaged('consumer'),
      'all at once': await bundles.plain('test/bench/plain/post-all.ts'),
      'in turn': await bundles.plain('test/bench/plain/post-in-turn.ts'),
      undici: await bundles.plain('test/bench/plain/post-undici.ts'),
    };
    const processes = new Map<Rival, MeasuredProcess>();
    try {
      for (const [rival, file] of Object.entries(files)) {
        processes.set(rival as Rival, await startMeasured(node, [file], env));
      }
      const rows: Row[] = [];
      const ours: Seen[] = [];
      const oursInSessions: Seen[] = [];
      for (const shape of shapes) {
        const seen = new Map(rivalsIn(shape).map((rival) => [rival, nothingSeen()]));
        const turns = [...seen].map(([rival, ofRival]): [Rival, Turn] => {
          const process = processes.get(rival) as MeasuredProcess;
          return [rival, () => turn(process, shape, rival, quick, aws, ofRival)];
        });
        const measured = await interleaved(rounds, Object.fromEntries(turns) as Record<Rival, Turn>);
        rows.push(...rowsOf(shape, measured, seen.get('all at once') as Seen));
        ours.push(seen.get('ours') as Seen);
        oursInSessions.push(seen.get('ours, in sessions') ?? nothingSeen());
      }
      return { rows, counts: countsOf(sumOf(ours), sumOf(oursInSessions), broker.connections()) };
    } finally {
      await Promise.all([...processes.values()].map((each) => each.close()));
      await Promise.all([bundles.close(), aws.close(), broker.close()]);
    }
  },
};

function rivalsIn(shape: Shape): Rival[] {
  const rivals: Rival[] = ['ours', 'all at once'];
  if (waitsInTurn(shape)) rivals.push('in turn', 'ours, in sessions');
  if (!isAllWaiting(shape)) rivals.push('undici');
  return rivals;
}

/** Whether the order of a connection's replies costs more than one latency. */
function waitsInTurn({ connections, postMs }: Shape): boolean {
  return connections < repliesEach && postMs > 0;
}

/** A hundred latencies, beside which nothing else counts. */
function isAllWaiting({ connections, postMs }: Shape): boolean {
  return connections === 1 && postMs > 0;
}

/** So many replies: no two of them are alike. */
let numbered = 0;

/** Milliseconds an event, microseconds of CPU a reply. */
async function turn(
  process: MeasuredProcess,
  shape: Shape,
  rival: Rival,
  quick: boolean,
  aws: FakeAws,
  seen: Seen,
): Promise<Figures> {
  const events = quick ? 1 : 5;
  // A session has no replies yet: to each event its own.
  const idOf = rival === 'ours, in sessions' ? (at: number) => sessionId(numbered + at) : connectionId;
  const calls = Array.from({ length: events }, () => {
    const ids = Array.from({ length: repliesEach }, (_, at) => idOf(at % shape.connections));
    const event = repliesEvent(ids, 'ws_queue', numbered);
    numbered += repliesEach;
    return [0, event] as const;
  });
  aws.latencyMs = shape.postMs;
  aws.order.watch();
  const before = requestsTo(aws);
  const { ms, cpuUs } = await process.call(calls);
  const after = requestsTo(aws);
  seen.replies += events * repliesEach;
  seen.distinctReplies += aws.order.replies;
  seen.receivers += events * shape.connections;
  seen.posts += after.posts - before.posts;
  seen.tableRequests += after.tables - before.tables;
  seen.late += aws.order.late;
  seen.beside += aws.order.beside;
  return { time: ms / events, CPU: cpuUs / (events * repliesEach) };
}

function requestsTo({ requests }: FakeAws) {
  const posts = requests.get('post') ?? 0;
  return { posts, tables: [...requests.values()].reduce((sum, each) => sum + each, -posts) };
}

function rowsOf(shape: Shape, measured: Rounds<Rival>, allAtOnce: Seen): Row[] {
  const { connections, postMs } = shape;
  const rowOf = (
    theirs: Rival,
    against: string,
    metric: 'time' | 'CPU',
    more: Pick<Row, 'goal' | 'note'> = {},
    us: Rival = 'ours',
  ): Row => ({
    row: `100 replies to ${connections} connection${connections === 1 ? '' : 's'}, ${postMs} ms`,
    ours: us === 'ours' ? 'consumer' : 'consumer, in sessions',
    against,
    metric: metric === 'CPU' ? 'CPU per reply' : 'time',
    unit: metric === 'CPU' ? 'µs' : 'ms',
    ourFigures: metricOf(measured[us], metric),
    theirFigures: metricOf(measured[theirs], metric),
    ...more,
  });
  const disorder = Math.round((100 * allAtOnce.beside) / allAtOnce.posts);
  const inNoOrder = `In no order: ${disorder} % of the posts begin while another to their connection is under way.`;
  const waiting =
    `In order it takes at least ${repliesEach / connections} times the latency of @connections, ` +
    'which who posts all at once waits for together.';
  const together =
    'Each connection is in a session, and its client reads several replies in one frame, as lib/client does. ' +
    'They are stored first, and DynamoDB takes the latency, too.';
  const noted = (note: string) => (waitsInTurn(shape) ? { note } : {});
  const rows = [rowOf('all at once', 'SDK client, all at once', 'CPU', { goal: { atMost: 0.5 }, ...noted(inNoOrder) })];
  if (postMs === 0) rows.push(rowOf('undici', 'undici, all at once', 'CPU'));
  if (waitsInTurn(shape)) {
    rows.push(rowOf('in turn', 'SDK client, in order', 'CPU'));
    rows.push(rowOf('in turn', 'SDK client, in order', 'time', { note: waiting }));
  }
  if (postMs > 0) {
    rows.push(rowOf('all at once', 'SDK client, all at once', 'time', { goal: { atMost: 0.6 }, ...noted(waiting) }));
  }
  if (waitsInTurn(shape)) {
    const inSessions = (metric: 'time' | 'CPU', atMost: number) =>
      rowOf(
        'all at once',
        'SDK client, all at once',
        metric,
        { goal: { atMost }, note: together },
        'ours, in sessions',
      );
    rows.push(inSessions('CPU', 0.5), inSessions('time', 0.6));
  }
  if (postMs > 0 && !isAllWaiting(shape)) {
    const limit = connections === repliesEach ? { goal: { atMost: 2.5 } } : {};
    rows.push(rowOf('undici', 'undici, all at once', 'time', limit));
  }
  return rows;
}

function countsOf(plain: Seen, inSessions: Seen, amqpConnections: number): Count[] {
  const all = sumOf([plain, inSessions]);
  return [
    { count: '@connections requests per plain reply', found: plain.posts / plain.replies, expected: 1 },
    {
      count: '@connections requests per event and session, in one frame',
      found: inSessions.posts / inSessions.receivers,
      expected: 1,
    },
    { count: 'replies that were not posted', found: all.replies - all.distinctReplies, expected: 0 },
    { count: 'replies behind a later one to their connection', found: all.late, expected: 0 },
    { count: 'posts begun beside another to their connection', found: all.beside, expected: 0 },
    { count: 'DynamoDB requests of plain replies', found: plain.tableRequests, expected: 0 },
    {
      count: 'DynamoDB requests per event and session',
      found: inSessions.tableRequests / inSessions.receivers,
      expected: 3,
    },
    { count: 'AMQP connections without dead letters', found: amqpConnections, expected: 0 },
  ];
}

function sumOf(all: readonly Seen[]): Seen {
  const sum = nothingSeen();
  for (const seen of all) for (const what of Object.keys(sum) as (keyof Seen)[]) sum[what] += seen[what];
  return sum;
}

function nothingSeen(): Seen {
  return { replies: 0, distinctReplies: 0, receivers: 0, posts: 0, tableRequests: 0, late: 0, beside: 0 };
}

/** In place of a broker: takes note of who comes. */
async function startWatchedPort() {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
