import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { watchFunctions } from '../build';
import { declareQueues } from '../declare';
import { reasonOf } from '../reason';
import { type QueueDeclaration, topology } from '../topology';
import { banner } from './banner';
import { startBroker } from './broker/broker';
import { startMapping } from './event-source/mapping';
import { mappingSpecs } from './event-source/specs';
import { functionRunner } from './lambda';
import { refuseTakenPorts, untilListening } from './ports';
import {
  type OfflineOptions,
  resourcesOf,
  type Serverless,
  type ServerlessLog,
  type Service,
} from './serverless';
import { startTables } from './table';

/**
 * All that stands in for AWS on a laptop, around serverless-offline: the bundles, rebuilt on save; the connection
 * table; a broker, unless AMQP_URL names one; the queues; and, once the WebSocket listens, the event source mappings.
 * Resolves when serverless-offline may start. Everything lives in this process and ends with it.
 */
export async function startStack(
  serverless: Serverless,
  cliOptions: OfflineOptions,
  log: ServerlessLog,
): Promise<void> {
  const { service, serviceDir } = serverless;
  // On Node 20 the AWS SDK prints ten lines about Node 22 for each bundle; the Lambdas run on 22.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const offline = {
    host: 'localhost',
    websocketPort: 3001,
    lambdaPort: 3002,
    ...service.custom?.['serverless-offline'],
    ...cliOptions,
  };
  await refuseTakenPorts(offline, serverless.classes.Error);

  const handlers = createRequire(__filename).cache;
  const [broker, tables] = await Promise.all([
    brokerFor(process.env, log),
    startTables(resourcesOf(service)),
    watchFunctions(serviceDir, ({ changed }) => {
      const loaded = changed.filter((file) => handlers[file] !== undefined);
      for (const file of loaded) delete handlers[file];
      if (loaded.length > 0) log.notice('Reloaded the functions.');
    }),
  ]);

  const endpoint = `${offline.host}:${offline.websocketPort}`;
  setEnvironment(service, {
    AMQP_URL: broker.url,
    MANAGEMENT_ENDPOINT: `http://${endpoint}`,
    TABLE_NAME: 'ConnectionTable',
  });
  service.provider.environment = {
    ...service.provider.environment,
    AWS_ENDPOINT_URL_DYNAMODB: tables.endpoint,
    // The SDK signs even for a local endpoint.
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID ?? 'local',
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY ?? 'local',
    POWERTOOLS_LOG_LEVEL: process.env.LOG_LEVEL ?? 'WARN',
  };
  // API Gateway routes a client's `$connect` or `$disconnect` to $default; serverless-offline would run those
  // functions. A JSONPath that does not see such an action makes it do the same.
  service.provider.websocketsApiRouteSelectionExpression =
    '$request.body[?(@property === "action" && @ && @[0] !== "$")]';

  const queues = topology({
    apiQueue: service.custom?.apiQueue ?? 'api_queue',
    wsQueue: service.custom?.wsQueue ?? 'ws_queue',
  });
  const specs = mappingSpecs(service, (key) => serverless.getProvider('aws').naming.getLambdaLogicalId(key));
  const afterStart = async () => {
    await declareWhenReachable(broker.url, queues, log);
    await untilListening(Number(offline.websocketPort), offline.host);
    const invoke = await functionRunner(serverless, offline);
    for (const spec of specs) {
      startMapping(spec, { url: broker.url, invoke, report: (line) => log.notice(line) });
    }
    log.notice(
      banner({ webSocketUrl: `ws://${endpoint}`, broker, queues: queues.map(({ name }) => name), specs }),
    );
  };
  // serverless-offline starts when this function returns, and what needs its port must not hold it up.
  afterStart().catch((error: unknown) =>
    log.error(`The local stack did not start: ${(error as Error).message}`),
  );
}

export interface LocalBroker {
  url: string;
  embedded: boolean;
}

const defaultBrokerPort = 5672;
const retryMs = 2000;

/** The RabbitMQ that AMQP_URL names, or an embedded broker on BROKER_PORT; if that is taken, on a free port. */
async function brokerFor(env: NodeJS.ProcessEnv, log: ServerlessLog): Promise<LocalBroker> {
  if (env.AMQP_URL) return { url: env.AMQP_URL, embedded: false };
  const port = Number(env.BROKER_PORT ?? defaultBrokerPort);
  try {
    return { url: (await startBroker({ port })).url, embedded: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const { url, port: free } = await startBroker({ port: 0 });
    log.warning(
      `Port ${port} is taken: the embedded broker listens on ${free} instead, so point your services to ${url}. ` +
        `If a RabbitMQ of yours has the port, AMQP_URL=amqp://guest:guest@localhost:${port} npm start uses that.`,
    );
    return { url, embedded: true };
  }
}

/** Replaces variables that a function has, and gives it no others. */
function setEnvironment(service: Service, values: Record<string, string>): void {
  for (const { environment = {} } of Object.values(service.functions)) {
    for (const [name, value] of Object.entries(values)) if (name in environment) environment[name] = value;
  }
}

async function declareWhenReachable(
  url: string,
  queues: QueueDeclaration[],
  log: ServerlessLog,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      for (const [queue, result] of await declareQueues(url, queues)) {
        if (result === 'declared') continue;
        log.warning(
          `The queue ${queue} exists with arguments or flags of its own and is used as it is. ` +
            'A NestJS service that declares it plain will not start.',
        );
      }
      return;
    } catch (error) {
      if (attempt === 0) {
        const { host } = new URL(url);
        log.warning(
          `RabbitMQ at ${host} cannot be used yet (${reasonOf(error)}); trying again every ${retryMs / 1000} s.`,
        );
      }
      await sleep(retryMs);
    }
  }
}
