import { type QueueDeclaration, replyQueues, topology } from '../infra/topology';
import { type Admission, authorize } from './authorize';
import { apiGatewayClose, type Close } from './close';
import { readConfig } from './config';
import type { Connections } from './connections';
import { dynamoConnections } from './connections.dynamo';
import { type Broker, brokerAt } from './credentials';
import type { DeadLetters } from './dead-letters';
import type { DeliveryPorts } from './delivery';
import type { Handshake } from './handshake';
import { tokenVerifier, type VerifyToken } from './jwt';
import { fixedKeys, jwksKeys, secretKeys } from './jwt-keys';
import { createLog, type Log } from './log';
import { emfMetrics, type Metrics, noMetrics } from './metrics';
import { apiGatewayPost } from './post';
import { livePrincipal } from './principal';
import { AmqpPublisher, type Publisher } from './publisher';
import { recentDeliveries } from './recent';
import type { WebSocketEvent } from './route';
import { secretReader } from './secret';
import { createSender } from './sender';
import { rememberedMemberships } from './session/membership';
import { createSessionRoutes, type SessionRoutes } from './session/resume';
import { createSessionSender, type SessionSender } from './session/sending';
import { dynamoSends } from './session/sends.dynamo';
import { createSessions, type Sessions } from './session/sessions';
import { dynamoSessionStore } from './session/store.dynamo';
import { closeOnSigterm } from './sigterm';

/**
 * The one place where the parts are put together and the configuration is read. A function calls what it needs once,
 * while it is loaded: a wrong variable fails the start, not a message. What a function does not call is not bundled.
 */

export function openLog(functionName: string): Log {
  const { LOG_LEVEL } = readConfig(['LOG_LEVEL']);
  return createLog(functionName, LOG_LEVEL);
}

/** Nobody collects them where no namespace is set. */
export function openMetrics(): Metrics {
  const { METRICS_NAMESPACE } = readConfig(['METRICS_NAMESPACE']);
  if (METRICS_NAMESPACE === undefined) return noMetrics;
  // Lambda's console writes before a line what CloudWatch would not read past.
  return emfMetrics(METRICS_NAMESPACE, (line) => process.stdout.write(`${line}\n`));
}

export function openConnections(): Connections {
  const { TABLE_NAME } = readConfig(['TABLE_NAME']);
  return dynamoConnections(TABLE_NAME);
}

export function openSessions(): Sessions {
  const { SESSION_TABLE_NAME } = readConfig(['SESSION_TABLE_NAME']);
  return createSessions(dynamoSessionStore(SESSION_TABLE_NAME));
}

/** What the frames of sessions do, and what ends a connection. */
export function openSessionRoutes(log: Log, metrics: Metrics): SessionRoutes & { close: Close } {
  const { MANAGEMENT_ENDPOINT } = readConfig(['MANAGEMENT_ENDPOINT']);
  const connections = openConnections();
  const ports = {
    sessions: openSessions(),
    connections,
    memberships: rememberedMemberships(connections.membership),
    post: apiGatewayPost(MANAGEMENT_ENDPOINT),
    close: apiGatewayClose(MANAGEMENT_ENDPOINT),
    log,
    metrics,
  };
  return { ...createSessionRoutes(ports), close: ports.close };
}

/** Who may connect. */
export function openAuthorizer(log: Log): (handshake: Handshake) => Promise<Admission> {
  const { AUTH, ALLOWED_ORIGINS } = readConfig(['AUTH', 'ALLOWED_ORIGINS']);
  const gate = { allowedOrigins: ALLOWED_ORIGINS, verifyToken: AUTH === 'jwt' ? openTokenVerifier(log) : undefined };
  return (handshake) => authorize(handshake, gate);
}

function openTokenVerifier(log: Log): VerifyToken {
  const config = readConfig([
    'JWT_ISSUER',
    'JWT_AUDIENCE',
    'JWT_JWKS_URL',
    'JWT_SECRET_ARN',
    'JWT_SECRET',
    'JWT_CLOCK_SKEW_SECONDS',
  ]);
  const { JWT_JWKS_URL, JWT_SECRET_ARN, JWT_SECRET = '' } = config;
  const keys =
    JWT_JWKS_URL !== undefined
      ? jwksKeys(JWT_JWKS_URL, log)
      : JWT_SECRET_ARN !== undefined
        ? secretKeys(secretReader(JWT_SECRET_ARN), log)
        : fixedKeys(JWT_SECRET);
  return tokenVerifier(keys, {
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    clockSkewSeconds: config.JWT_CLOCK_SKEW_SECONDS,
  });
}

/** Who sends a message: with AUTH=jwt the user of a token that has not expired, else GatewayError `unauthorized`. */
export function openUsers(): (event: WebSocketEvent) => { userId?: string } {
  const { AUTH } = readConfig(['AUTH']);
  if (AUTH === 'none') return () => ({});
  return ({ requestContext }) => ({ userId: livePrincipal(requestContext.authorizer, Date.now()).userId });
}

/** What ends the connection of a client that is `unauthorized`; nobody is with AUTH=none. */
export function openClose(): Close | undefined {
  const { AUTH } = readConfig(['AUTH']);
  if (AUTH === 'none') return undefined;
  const { MANAGEMENT_ENDPOINT } = readConfig(['MANAGEMENT_ENDPOINT']);
  let close: Close | undefined;
  return async (...closing) => {
    const { apiGatewayClose } = await import('./close');
    close ??= apiGatewayClose(MANAGEMENT_ENDPOINT);
    return close(...closing);
  };
}

export function openPublisher(): Publisher {
  const { AMQP_URL, AMQP_SECRET_ARN } = readConfig(['AMQP_URL', 'AMQP_SECRET_ARN']);
  const publisher = new AmqpPublisher(brokerAt(AMQP_URL, AMQP_SECRET_ARN));
  // The local stack has signals of its own, and loads a function again after each change.
  if (!process.env.IS_OFFLINE) closeOnSigterm(publisher);
  return publisher;
}

export function openSender(log: Log, metrics: Metrics): SessionSender {
  const { API_QUEUE, WS_QUEUE, REPLY_SHARDS, REQUEST_STYLE, SESSION_TABLE_NAME } = readConfig([
    'API_QUEUE',
    'WS_QUEUE',
    'REPLY_SHARDS',
    'REQUEST_STYLE',
    'SESSION_TABLE_NAME',
  ]);
  const target = {
    apiQueue: API_QUEUE,
    replyQueues: replyQueues({ wsQueue: WS_QUEUE, replyShards: REPLY_SHARDS }),
    style: REQUEST_STYLE,
  };
  const publisher = openPublisher();
  // AWS loads a function for a message that waits already. Locally the broker may not be there yet.
  if (!process.env.IS_OFFLINE) publisher.prepare();
  return createSessionSender(createSender(publisher, target, metrics), {
    memberships: rememberedMemberships(openConnections().membership),
    sends: dynamoSends(SESSION_TABLE_NAME),
    log,
  });
}

/** The broker, and the queues that the gateway needs on it. */
export function openTopology(): { broker: Broker; queues: QueueDeclaration[] } {
  const { AMQP_URL, AMQP_SECRET_ARN, API_QUEUE, WS_QUEUE, REPLY_SHARDS } = readConfig([
    'AMQP_URL',
    'AMQP_SECRET_ARN',
    'API_QUEUE',
    'WS_QUEUE',
    'REPLY_SHARDS',
  ]);
  return {
    broker: brokerAt(AMQP_URL, AMQP_SECRET_ARN),
    queues: topology({ apiQueue: API_QUEUE, wsQueue: WS_QUEUE, replyShards: REPLY_SHARDS }),
  };
}

export function openDelivery(log: Log): DeliveryPorts {
  const { MANAGEMENT_ENDPOINT } = readConfig(['MANAGEMENT_ENDPOINT']);
  return {
    post: apiGatewayPost(MANAGEMENT_ENDPOINT),
    close: apiGatewayClose(MANAGEMENT_ENDPOINT),
    connections: openConnections(),
    sessions: openSessions(),
    deadLetters: lateDeadLetters(),
    recent: recentDeliveries(),
    log,
    metrics: openMetrics(),
  };
}

function lateDeadLetters(): DeadLetters {
  // Those of the broker too: what is wrong with them must not wait for the first letter.
  const { WS_QUEUE } = readConfig(['WS_QUEUE', 'AMQP_URL', 'AMQP_SECRET_ARN']);
  let deadLetters: DeadLetters | undefined;
  return {
    async add(letter, deadline) {
      const { openDeadLetters } = await import('./open-dead-letters');
      deadLetters ??= openDeadLetters(WS_QUEUE);
      return deadLetters.add(letter, deadline);
    },
  };
}
