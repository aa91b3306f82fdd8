import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { readConfig } from '../../lib/config';
import { localFolder, watchFunctions } from '../build';
import { type QueueDeclaration, topology } from '../topology';
import { banner } from './banner';
import { startMapping } from './event-source/mapping';
import { mappingSpecs } from './event-source/specs';
import { functionRunner, runFunctionsOf } from './lambda';
import { brokerFor, declareWhenReachable } from './local-broker';
import { refuseTakenPorts, untilListening } from './ports';
import { answerPosts } from './posts';
import type { OfflineOptions, Serverless, ServerlessLog, Service } from './serverless';
import { answerSubProtocols, surviveClients } from './sockets';
import { brokerStatus } from './status';
import { startTables } from './table';
import { servePage } from './web';

/**
 * All that stands in for AWS on a laptop, around serverless-offline: the bundles, rebuilt on save; the tables; a
 * broker, unless AMQP_URL names one; the queues; and, once the WebSocket listens, the event source mappings and the page.
 * Resolves when serverless-offline may start. Everything lives in this process and ends with it.
 */
export async function startStack(
  serverless: Serverless,
  cliOptions: OfflineOptions,
  log: ServerlessLog,
): Promise<void> {
  const { service } = serverless;
  const config = readConfig([
    'WEBSOCKET_PORT',
    'LAMBDA_PORT',
    'PAGE_PORT',
    'BROKER_PORT',
    'CONNECTION_SECONDS',
    'IDLE_SECONDS',
    'LOG_LEVEL',
  ]);
  const amqpUrl = process.env.AMQP_URL ? readConfig(['AMQP_URL']).AMQP_URL : undefined;
  const offline: Required<OfflineOptions> = {
    host: 'localhost',
    websocketPort: config.WEBSOCKET_PORT,
    lambdaPort: config.LAMBDA_PORT,
    webSocketHardTimeout: config.CONNECTION_SECONDS,
    webSocketIdleTimeout: config.IDLE_SECONDS,
    ...service.custom?.['serverless-offline'],
    ...cliOptions,
  };
  service.custom = { ...service.custom, 'serverless-offline': offline };
  const ports = {
    WEBSOCKET_PORT: Number(offline.websocketPort),
    LAMBDA_PORT: Number(offline.lambdaPort),
  };
  await refuseTakenPorts(ports, offline.host);
  surviveClients();
  answerSubProtocols();
  await answerPosts();
  // On Node 20 the AWS SDK prints ten lines about Node 22 for each bundle; the Lambdas run on 22.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

  const [broker, tables] = await Promise.all([
    brokerFor(amqpUrl, config.BROKER_PORT, log),
    startTables(service.resources?.Resources ?? {}),
    buildAndReload(serverless.serviceDir, log),
  ]);
  const endpoint = `${offline.host}:${offline.websocketPort}`;
  replaceEnvironment(service, {
    AMQP_URL: broker.url,
    AMQP_SECRET_ARN: '',
    MANAGEMENT_ENDPOINT: `http://${endpoint}`,
    TABLE_NAME: 'ConnectionTable',
    SESSION_TABLE_NAME: 'SessionTable',
  });
  service.provider.environment = {
    ...service.provider.environment,
    AWS_ENDPOINT_URL_DYNAMODB: tables.endpoint,
    // Requests are signed for a local endpoint too.
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID || 'local',
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY || 'local',
    LOG_LEVEL: config.LOG_LEVEL ?? 'WARN',
    // Nobody collects metrics here.
    METRICS_NAMESPACE: '',
  };
  routeAsApiGateway(service);
  for (const definition of Object.values(service.functions)) {
    definition.handler = definition.handler.replace(/^dist(?=\/)/, localFolder);
  }
  if (service.functions.authorizer) service.functions.authorizer.handler = 'infra/local/unauthorized.cjs.handler';
  const invoke = functionRunner(serverless, log);
  await runFunctionsOf(invoke);

  const queues = queuesOf(service);
  const specs = mappingSpecs(service, (key) => serverless.getProvider('aws').naming.getLambdaLogicalId(key));
  const afterStart = async () => {
    await declareWhenReachable(broker.url, queues, log);
    await untilListening(Number(offline.websocketPort), offline.host);
    for (const spec of specs) {
      startMapping(spec, { url: broker.url, invoke, report: (line) => log.notice(line) });
    }
    const webSocketUrl = `ws://${endpoint}`;
    const asksForTokens = service.functions.send?.environment?.AUTH === 'jwt';
    const names = queues.map(({ name }) => name);
    const page = await servePage({
      host: offline.host,
      port: config.PAGE_PORT,
      portsOfOthers: Object.values(ports),
      root: serverless.serviceDir,
      webSocketUrl,
      asksForTokens,
      status: brokerStatus(broker.url, names).read,
    });
    const pageUrl = `http://${offline.host}:${(page.address() as AddressInfo).port}`;
    log.notice(banner({ webSocketUrl, pageUrl, asksForTokens, broker, queues: names, specs }));
  };
  // serverless-offline starts when this function returns, and what needs its port must not hold it up.
  afterStart().catch((error: unknown) => log.error(`The local stack did not start: ${(error as Error).message}`));
}

/** The functions run in this process: a new bundle is read when the old one is no longer in Node's cache. */
async function buildAndReload(serviceDir: string, log: ServerlessLog): Promise<void> {
  const modules = createRequire(__filename).cache;
  await watchFunctions(serviceDir, ({ changed }) => {
    const loaded = changed.filter((file) => modules[file] !== undefined);
    for (const file of loaded) delete modules[file];
    if (loaded.length > 0) log.notice('Reloaded the functions.');
  });
}

/** Those that the function `topology` declares on AWS. */
function queuesOf({ functions }: Service): QueueDeclaration[] {
  const environment = functions.topology?.environment as Record<string, string> | undefined;
  const names = readConfig(['API_QUEUE', 'WS_QUEUE', 'REPLY_SHARDS'], environment);
  return topology({ apiQueue: names.API_QUEUE, wsQueue: names.WS_QUEUE, replyShards: names.REPLY_SHARDS });
}

/** Replaces variables that a function has, and gives it no others. */
function replaceEnvironment(service: Service, values: Record<string, string>): void {
  for (const { environment = {} } of Object.values(service.functions)) {
    for (const [name, value] of Object.entries(values)) if (name in environment) environment[name] = value;
  }
}

/**
 * API Gateway routes a client's action `$connect` or `$disconnect` to $default; serverless-offline would run those
 * functions. A JSONPath that does not see such an action makes it do the same.
 */
function routeAsApiGateway({ provider }: Service): void {
  provider.websocketsApiRouteSelectionExpression = '$request.body[?(@property === "action" && @ && @[0] !== "$")]';
}
