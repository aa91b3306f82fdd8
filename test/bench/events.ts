import { randomUUID } from 'node:crypto';
import type { ConsumeMessage } from 'amqplib';
import { type MqEvent, mqEvent, mqRecord } from '../../infra/local/event-source/event';

/** Events as API Gateway and Amazon MQ hand them to a function. */

const host = 'abcd1234.execute-api.us-east-1.amazonaws.com';

/** 16 characters in base64, as those of API Gateway; another for each number. */
export function connectionId(number: number): string {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt32BE(number, 7);
  return bytes.toString('base64');
}

/** As those of the gateway; another for each number. */
export function sessionId(number: number): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(number, 12);
  return `session_${bytes.toString('base64url')}`;
}

export function lifecycleEvent(eventType: 'CONNECT' | 'DISCONNECT', connectionId: string): object {
  const { requestContext } = webSocketEvent(eventType, connectionId);
  const headers = {
    Host: host,
    'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    'User-Agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
    'X-Amzn-Trace-Id': 'Root=1-67891233-abcdef012345678912345678',
    'X-Forwarded-For': '203.0.113.7',
    'X-Forwarded-Port': '443',
    'X-Forwarded-Proto': 'https',
  };
  const multiValueHeaders = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  return { headers, multiValueHeaders, requestContext, isBase64Encoded: false };
}

/** @param bytes of the frame, about */
export function sendEvent(connectionId: string, bytes: number, id = '1'): { body: string; requestContext: object } {
  const body = JSON.stringify({ action: 'send', id, data: { prompt: 'x'.repeat(bytes - 50) } });
  return { ...webSocketEvent('MESSAGE', connectionId), body };
}

/** One reply to each of the connections, or sessions, as a NestJS service emits it; they are numbered from `first` on. */
export function repliesEvent(connectionIds: readonly string[], wsQueue = 'ws_queue', first = 0): MqEvent {
  const arn = 'arn:aws:mq:us-east-1:123456789012:broker:gateway:b-1234a5b6-78cd-901e-2fgh-3i45j6k17819';
  const records = connectionIds.map((connectionId, at) => {
    const data = { number: first + at, text: 'x'.repeat(100), metadata: { socket_id: connectionId } };
    const content = Buffer.from(JSON.stringify({ pattern: { cmd: 'recv' }, data }));
    const properties = { headers: {}, deliveryMode: 2, messageId: randomUUID() };
    return mqRecord({ content, properties, fields: { redelivered: false } } as ConsumeMessage);
  });
  return mqEvent(arn, wsQueue, '/', records);
}

function webSocketEvent(eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT', connectionId: string) {
  return {
    requestContext: {
      routeKey: eventType === 'MESSAGE' ? 'send' : `$${eventType.toLowerCase()}`,
      eventType,
      messageDirection: 'IN',
      connectionId,
      connectedAt: 1767323045678,
      requestTimeEpoch: 1767323045680,
      requestTime: '02/Jan/2026:03:04:05 +0000',
      requestId: 'L0SM9cOFvHcCIhw=',
      extendedRequestId: 'L0SM9cOFvHcCIhw=',
      stage: 'dev',
      domainName: host,
      apiId: 'abcd1234',
      identity: { sourceIp: '203.0.113.7', userAgent: 'Mozilla/5.0' },
    },
    isBase64Encoded: false,
  };
}
