import { readConfig } from './config';
import type { Connections } from './connections';
import { dynamoConnections } from './connections.dynamo';
import { secretCredentials } from './credentials';
import { amqpDeadLetters } from './dead-letters';
import type { DeliveryPorts } from './delivery';
import { createLog, type Log } from './log';
import { apiGatewayPost } from './post';
import { AmqpPublisher, type Publisher } from './publisher';
import { recentDeliveries } from './recent';
import { createSender, type Sender } from './sender';
import { closeOnSigterm } from './sigterm';

/**
 * The one place where the parts are put together and the configuration is read. A function calls what it needs once,
 * while it is loaded: a wrong variable fails the start, not a message. What a function does not call is not bundled.
 */

export function openLog(functionName: string): Log {
  return createLog(functionName);
}

export function openConnections(): Connections {
  const { TABLE_NAME } = readConfig(['TABLE_NAME']);
  return dynamoConnections(TABLE_NAME);
}

export function openPublisher(): Publisher {
  const { AMQP_URL, AMQP_SECRET_ARN } = readConfig(['AMQP_URL', 'AMQP_SECRET_ARN']);
  const credentials = AMQP_SECRET_ARN === undefined ? {} : { credentials: secretCredentials(AMQP_SECRET_ARN) };
  const publisher = new AmqpPublisher({ url: AMQP_URL, ...credentials });
  // serverless-offline has signals of its own, and loads the functions again and again.
  if (!process.env.IS_OFFLINE) closeOnSigterm(publisher);
  return publisher;
}

export function openSender(): Sender {
  const { API_QUEUE, WS_QUEUE, REQUEST_STYLE } = readConfig(['API_QUEUE', 'WS_QUEUE', 'REQUEST_STYLE']);
  return createSender(openPublisher(), { apiQueue: API_QUEUE, replyQueue: WS_QUEUE, style: REQUEST_STYLE });
}

export function openDelivery(log: Log): DeliveryPorts {
  const { WS_QUEUE, MANAGEMENT_ENDPOINT } = readConfig(['WS_QUEUE', 'MANAGEMENT_ENDPOINT']);
  return {
    post: apiGatewayPost(MANAGEMENT_ENDPOINT),
    connections: openConnections(),
    deadLetters: amqpDeadLetters(openPublisher(), WS_QUEUE),
    recent: recentDeliveries(),
    log,
  };
}
