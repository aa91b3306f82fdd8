import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { declareQueues } from '../../infra/declare';
import type { MqEvent } from '../../infra/local/event-source/event';
import { type RunningMapping, startMapping } from '../../infra/local/event-source/mapping';
import { deadLetterQueue, topology } from '../../infra/topology';
import type { Delivery, Properties } from '../../lib/amqp';
import { brokerAt, type Login } from '../../lib/credentials';
import { deliveriesOf } from '../../lib/mq-event';
import { deleteQueues, openChannel, queueNames } from '../helpers/amqp';
import { type FunctionOptions, type FunctionProcess, functionProcess } from '../helpers/function-process';
import { type LambdaFunction, lambdaFunction } from '../helpers/lambda-runtime';
import { type Answer, type ManagementApi, startManagementApi } from '../helpers/management-api';
import { startTableApi, type TableApi } from '../helpers/table-api';
import { startWire, type Wire } from '../helpers/wire';
import { Books, type Counts } from './books';
import { type Load, type LoadOptions, startLoad } from './load';

/**
 * The gateway between a load of clients and a broker, every part where a fault can strike it: the functions as processes
 * of their own, their way to the broker a wire, @connections and DynamoDB as servers that fail on demand; and the books
 * on what became of every message.
 */
export interface Rig {
  books: Books;
  /** Between the functions `send` and `consumer`, and the broker. */
  wire: Wire;
  api: ManagementApi;
  /** What @connections answers from now on. */
  answer(how: Answer): void;
  table: TableApi;
  queues: { apiQueue: string; wsQueue: string; deadLetters: string };
  /** Processes of `send`, which take turns. */
  send: FunctionProcess[];
  consumer: FunctionProcess;
  runtimes: { send: LambdaFunction; consumer: LambdaFunction } | undefined;
  /** Another function of the gateway, ended with the rig. */
  start(name: string, env?: Record<string, string>): FunctionProcess;
  load(options?: LoadOptions): Load;
  /**
   * Resolves once this holds; it is asked again with each answer to a client and each batch that was worked off. Rejects
   * after a minute.
   */
  until(holds: () => boolean): Promise<void>;
  /** Lays replies into the queue as a service would, confirmed; each is in the books by its messageId. */
  reply(replies: readonly TestReply[]): Promise<void>;
  /** Declares the queues, for a rig that was started without a broker. */
  declare(): Promise<void>;
  /** Begins to work off the queues; already done unless the rig is `idle`. */
  work(): void;
  /** How many processes ended that nobody ended. */
  crashes(): number;
  /** Resolves once every promised message is accounted for and the queues are empty, or with what is lost by then. */
  account(): Promise<Counts>;
  stop(): Promise<void>;
}

export interface RigOptions {
  /**
   * What takes the requests: the example worker, whose replies go on to the consumer; or a reader, with which a message
   * has arrived when it comes out of the queue.
   */
  service?: 'worker' | 'reader';
  /** Nothing works off the queues until `work`. */
  idle?: boolean;
  /** The broker cannot be reached yet. */
  undeclared?: boolean;
  /** Of the functions' connections to the broker. */
  heartbeatSeconds?: number;
  /** How the functions log in, if not as the broker's URL says. */
  login?: Login;
  /** More variables for `send` and `consumer`. */
  env?: Record<string, string>;
  sendProcesses?: number;
  /** `send` and `consumer` run under AWS's own runtime client, frozen between two events; `runtimes` has them then. */
  lambda?: boolean;
  consumerTimeoutMs?: number;
  /** Arguments of the request queue. */
  apiQueueArguments?: Record<string, unknown>;
}

export interface TestReply {
  body: Buffer | string | object;
  connectionId: string;
  properties: Properties & { messageId: string };
}

/** How long a straggler may come after the others: longer than any deadline, pause or retry of the gateway. */
const patienceMs = 60_000;

export async function startRig(brokerUrl: string, options: RigOptions = {}): Promise<Rig> {
  const { service = 'worker', sendProcesses = 2, consumerTimeoutMs = 12_000, env = {} } = options;
  const { apiQueue, wsQueue } = queueNames();
  const queues = { apiQueue, wsQueue, deadLetters: deadLetterQueue(wsQueue) };
  const books = new Books();
  const news = new EventEmitter().setMaxListeners(0);
  const tell = () => void news.emit('news');
  const until = async (holds: () => boolean) => {
    const signal = AbortSignal.timeout(patienceMs);
    while (!holds()) await once(news, 'news', { signal });
  };

  let answer: Answer = () => 200;
  const [wire, table, api] = await Promise.all([
    startWire(brokerUrl),
    startTableApi(),
    startManagementApi((connectionId, attempt) => {
      const outcome = answer(connectionId, attempt);
      if (outcome === 410) books.goneConnection(connectionId);
      return outcome;
    }),
  ]);

  const environment = {
    AMQP_URL: urlFor(wire.url, options),
    API_QUEUE: apiQueue,
    WS_QUEUE: wsQueue,
    TABLE_NAME: table.tableName,
    SESSION_TABLE_NAME: table.sessionTableName,
    AWS_ENDPOINT_URL_DYNAMODB: table.url,
    MANAGEMENT_ENDPOINT: api.url,
    ...env,
  };
  const functions: FunctionProcess[] = [];
  const start = (name: string, more: Record<string, string> = {}, rest: Omit<FunctionOptions, 'env'> = {}) => {
    const process = functionProcess(name, {
      env: { ...environment, ...more },
      timeoutMs: 10_000,
      ...rest,
    });
    functions.push(process);
    return process;
  };
  const send = Array.from({ length: sendProcesses }, () => start('send'));
  const consumer = start('consumer', {}, { timeoutMs: consumerTimeoutMs });
  const worker = start('worker', { AMQP_URL: urlFor(brokerUrl, options) });
  const runtimes = options.lambda
    ? {
        send: lambdaFunction('send', { env: environment }),
        consumer: lambdaFunction('consumer', { env: environment, timeoutMs: consumerTimeoutMs }),
      }
    : undefined;
  const senders = runtimes === undefined ? send : [runtimes.send];

  const mappings: RunningMapping[] = [];
  let underWay = 0;
  const map = (queue: string, batchSize: number, invoke: (event: MqEvent) => Promise<unknown>) => {
    const spec = { functionKey: queue, queue, virtualHost: '/', batchSize, windowMs: 0, eventSourceArn: 'arn' };
    mappings.push(
      startMapping(spec, {
        url: brokerUrl,
        report: () => undefined,
        async invoke(_, event) {
          underWay += 1;
          try {
            return await invoke(event);
          } finally {
            underWay -= 1;
            tell();
          }
        },
      }),
    );
  };
  const keep = (queue: string, take: (id: string, delivery: Delivery) => void) =>
    map(queue, 100, async (event) => {
      for (const delivery of deliveriesOf(event)) take(idOf(delivery.properties.messageId), delivery);
    });
  const work = () => {
    keep(queues.deadLetters, (id, { properties }) => books.letter(id, String(properties.headers?.['x-verdict'])));
    if (service === 'reader') {
      keep(apiQueue, (id, { body }) => {
        books.service(id, connectionOf(body));
        books.arrive(id);
      });
    } else {
      map(apiQueue, 10, (event) => {
        for (const { body, properties } of deliveriesOf(event)) {
          books.service(idOf(properties.messageId), connectionOf(body));
        }
        return worker.invoke(event);
      });
      map(wsQueue, 100, (event) => (runtimes?.consumer ?? consumer).invoke(event));
    }
  };
  const declare = async () => {
    if (options.apiQueueArguments !== undefined) {
      const { channel, close } = await openChannel(brokerUrl);
      await channel.assertQueue(apiQueue, { durable: true, arguments: options.apiQueueArguments });
      await close();
    }
    await declareQueues(brokerAt(brokerUrl), topology(queues));
  };
  if (runtimes === undefined) await Promise.all([...send, consumer, worker].map((process) => process.warmUp()));
  if (!options.undeclared) await declare();
  if (!options.idle) work();

  const loads: Load[] = [];
  const arrivals = () => {
    for (const frames of api.taken.values()) {
      for (const frame of frames.slice(seen.get(frames) ?? 0)) {
        const { messageId } = frame as { messageId?: string };
        books.arrive(idOf(messageId));
      }
      seen.set(frames, frames.length);
    }
  };
  const seen = new Map<unknown[], number>();

  return {
    books,
    wire,
    api,
    answer(how) {
      answer = how;
    },
    table,
    queues,
    send,
    consumer,
    runtimes,
    start,
    declare,
    work,
    until,
    load(options = {}) {
      const load = startLoad(options, { books, senders, tell, until });
      loads.push(load);
      return load;
    },
    async reply(replies) {
      const { connection, close } = await openChannel(brokerUrl);
      const channel = await connection.createConfirmChannel();
      books.messages += replies.length;
      for (const { body, properties, connectionId } of replies) {
        const bytes = Buffer.isBuffer(body)
          ? body
          : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
        channel.sendToQueue(wsQueue, bytes, { persistent: true, ...properties }, (refused) => {
          if (!refused) books.ack(properties.messageId, connectionId);
        });
      }
      await channel.waitForConfirms();
      await close();
    },
    crashes: () => [...functions, ...Object.values(runtimes ?? {})].reduce((sum, { crashes }) => sum + crashes, 0),
    async account() {
      let [fewest, deadline] = [Number.POSITIVE_INFINITY, 0];
      for (;;) {
        arrivals();
        const missing = books.lost().length;
        if (missing < fewest) [fewest, deadline] = [missing, Date.now() + patienceMs];
        const idle = underWay === 0 && missing === 0;
        if ((idle && (await isEmpty(brokerUrl, [apiQueue, wsQueue, queues.deadLetters]))) || Date.now() > deadline) {
          arrivals();
          return books.counts();
        }
        await Promise.race([once(news, 'news'), sleep(250)]);
      }
    },
    async stop() {
      for (const load of loads) load.end();
      for (const process of functions) process.thaw();
      await Promise.all([...functions, ...Object.values(runtimes ?? {})].map((each) => each.kill()));
      await Promise.all(mappings.map((mapping) => mapping.close()));
      await deleteQueues(brokerUrl, apiQueue, wsQueue, queues.deadLetters);
      await Promise.all([wire.close(), api.close(), table.close()]);
    },
  };
}

/** Of messages that nobody has been given; what is in somebody's hands is under way there. */
async function isEmpty(url: string, queues: readonly string[]): Promise<boolean> {
  const { channel, close } = await openChannel(url);
  try {
    for (const queue of queues) if ((await channel.checkQueue(queue)).messageCount > 0) return false;
    return true;
  } finally {
    await close();
  }
}

/** A reply of the example worker bears the id of its request. */
function idOf(messageId = 'no messageId'): string {
  return messageId.replace(/:reply$/, '');
}

function connectionOf(body: Buffer): string {
  try {
    return JSON.parse(String(body)).data.metadata.socket_id;
  } catch {
    return '';
  }
}

function urlFor(brokerUrl: string, { heartbeatSeconds, login }: RigOptions): string {
  const url = new URL(brokerUrl);
  if (heartbeatSeconds !== undefined) url.searchParams.set('heartbeat', String(heartbeatSeconds));
  return Object.assign(url, login).href;
}
