import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { declareQueues } from '../../infra/declare';
import type { MqEvent } from '../../infra/local/event-source/event';
import { startMapping } from '../../infra/local/event-source/mapping';
import { deadLetterQueue, topology } from '../../infra/topology';
import { brokerAt } from '../../lib/credentials';
import { deliveriesOf } from '../../lib/mq-event';
import { deleteQueues, queueNames } from '../helpers/amqp';
import { type FunctionProcess, functionProcess } from '../helpers/function-process';
import { startTableApi, type TableApi } from '../helpers/table-api';
import { startWire, type Wire } from '../helpers/wire';
import { Books } from './books';
import type { Ground } from './faults';
import { type Front, startFront } from './front';
import { type Habits, type Regulars, startRegulars } from './regulars';

/** Clients in sessions before the functions as processes of their own, every part where a fault can strike it. */
export interface SessionRig extends Ground {
  front: Front;
  /** Between all and the broker: functions, service, event source. */
  wire: Wire;
  table: TableApi;
  session: FunctionProcess;
  consumer: FunctionProcess;
  regulars: Regulars;
  /** Resolves once `consumer` has failed so many batches. */
  failed(batches: number): Promise<void>;
  /** How many replies were stored for a client that had no connection. */
  stored(): number;
}

const patienceMs = 60_000;

export async function startSessionRig(
  brokerUrl: string,
  habits: Habits,
  consumerTimeoutMs = 12_000,
): Promise<SessionRig> {
  const { apiQueue, wsQueue } = queueNames();
  const deadLetters = deadLetterQueue(wsQueue);
  const books = new Books();
  const [wire, table] = await Promise.all([startWire(brokerUrl), startTableApi()]);
  await declareQueues(brokerAt(brokerUrl), topology({ apiQueue, wsQueue }));

  const routes: Record<string, FunctionProcess> = {};
  const front = await startFront(routes);
  const env = {
    AMQP_URL: wire.url,
    API_QUEUE: apiQueue,
    WS_QUEUE: wsQueue,
    TABLE_NAME: table.tableName,
    SESSION_TABLE_NAME: table.sessionTableName,
    AWS_ENDPOINT_URL_DYNAMODB: table.url,
    MANAGEMENT_ENDPOINT: front.managementUrl,
  };
  const start = (name: string, timeoutMs = 10_000) => functionProcess(name, { env, timeoutMs });
  const [session, consumer] = [start('session', 20_000), start('consumer', consumerTimeoutMs)];
  const [$connect, $disconnect, $default, send] = [
    start('connect'),
    start('disconnect'),
    start('default'),
    start('send'),
  ];
  Object.assign(routes, { $connect, $disconnect, $default, send, session, received: session });
  const functions = [$connect, $disconnect, $default, send, session, consumer];
  await Promise.all(functions.map((each) => each.warmUp()));

  const ended = new EventEmitter();
  let underWay = 0;
  const map = (queue: string, url: string, take: (event: MqEvent) => Promise<unknown>) =>
    startMapping(
      { functionKey: queue, queue, virtualHost: '/', batchSize: 100, windowMs: 0, eventSourceArn: 'arn' },
      {
        url,
        report: () => undefined,
        async invoke(_, event) {
          underWay += 1;
          await take(event).finally(() => {
            underWay -= 1;
          });
        },
      },
    );
  const mappings = [
    map(wsQueue, wire.url, (event) => consumer.invoke(event).finally(() => ended.emit('batch'))),
    map(deadLetters, brokerUrl, async (event) => {
      for (const { properties } of deliveriesOf(event)) {
        books.letter(properties.messageId ?? '', String(properties.headers?.['x-verdict']));
      }
    }),
  ];
  const place = { webSocketUrl: front.webSocketUrl, amqpUrl: wire.url, apiQueue, wsQueue };
  const regulars = await startRegulars(place, habits, books);

  return {
    books,
    front,
    wire,
    table,
    session,
    consumer,
    regulars,
    async failed(batches) {
      while (consumer.failures.length < batches) await once(ended, 'batch');
    },
    stored: () =>
      consumer.log.reduce((sum, { verdicts }) => sum + ((verdicts as { stored?: number } | undefined)?.stored ?? 0), 0),
    async account() {
      const deadline = Date.now() + patienceMs;
      while (Date.now() < deadline && (underWay > 0 || books.lost().length > 0)) await sleep(100);
      return books.counts();
    },
    async stop() {
      await regulars.close();
      await front.close();
      await Promise.all(functions.map((each) => each.kill()));
      await Promise.all(mappings.map((mapping) => mapping.close()));
      await deleteQueues(brokerUrl, apiQueue, wsQueue, deadLetters);
      await Promise.all([wire.close(), table.close()]);
    },
  };
}
