import { setTimeout as sleep } from 'node:timers/promises';
import type { AttributeValue, PutItemInput, UpdateItemInput } from '@aws-sdk/client-dynamodb';
import type { AwsClientConfig } from '../aws-json';
import { conditionally, dynamoClient } from '../dynamo';
import { GatewayError } from '../errors';
import type { Attempt, Begun, Sends } from './sends';

/** The client waits for its answer meanwhile. */
const settleMs = 1000;
/** Between two looks at what another attempt is doing. */
const lookMs = 150;
/** By how much it outlives its session. */
const keptSeconds = 3600;

/** DynamoDB takes it for a word of its own. */
const reserved = { '#by': 'by' };

/**
 * Sends in the session table, by conditional writes of one item for each message: `session` (S, hash key), `item` (S, range
 * key, `send#<client id>`), `messageId` (S), `fate` (S, `trying` or `acked`), `by` (S, the messageId of the attempt that is, or
 * was, at it), `busyUntil` (N, ms, how long that may publish), `expiresAt` (N, s, the table's TTL attribute).
 */
export function dynamoSends(tableName: string, config: AwsClientConfig = {}): Sends {
  const client = dynamoClient(config);
  const of = ({ session, clientId }: Attempt) => ({
    TableName: tableName,
    Key: { session: { S: session }, item: { S: `send#${clientId}` } },
  });

  const putFirst = (attempt: Attempt, busyUntil: number, endsAt: number): PutItemInput => {
    const { TableName, Key } = of(attempt);
    const { messageId } = attempt;
    return {
      TableName,
      Item: {
        ...Key,
        messageId: { S: messageId },
        fate: { S: 'trying' },
        by: { S: messageId },
        busyUntil: { N: String(busyUntil) },
        expiresAt: { N: String(Math.ceil(endsAt / 1000) + keptSeconds) },
      },
      ConditionExpression: 'attribute_not_exists(messageId)',
    };
  };

  const takeOver = (attempt: Attempt, from: AttributeValue, busyUntil: number): UpdateItemInput => ({
    ...of(attempt),
    UpdateExpression: 'SET #by = :me, busyUntil = :until',
    ConditionExpression: 'fate = :trying AND #by = :from',
    ExpressionAttributeNames: reserved,
    ExpressionAttributeValues: {
      ':me': { S: attempt.messageId },
      ':until': { N: String(busyUntil) },
      ':trying': { S: 'trying' },
      ':from': from,
    },
  });

  const settle = async (attempt: Attempt, field: 'fate' | 'busyUntil', value: AttributeValue): Promise<void> => {
    const update = {
      ...of(attempt),
      UpdateExpression: `SET ${field} = :value`,
      ConditionExpression: '#by = :me',
      ExpressionAttributeNames: reserved,
      ExpressionAttributeValues: { ':value': value, ':me': { S: attempt.messageId } },
    };
    await conditionally(client.send('UpdateItem', update, AbortSignal.timeout(settleMs)));
  };

  return {
    async begin(attempt, deadline, endsAt): Promise<Begun> {
      const { messageId } = attempt;
      const time = AbortSignal.timeout(Math.max(0, deadline - Date.now()));
      for (;;) {
        const isFirst = await conditionally(client.send('PutItem', putFirst(attempt, deadline, endsAt), time));
        if (isFirst !== undefined) return { result: 'first', messageId };
        const { Item } = await client.send('GetItem', { ...of(attempt), ConsistentRead: true }, time);
        // It was freed in this moment.
        if (Item?.messageId?.S === undefined || Item.by === undefined) continue;
        const known = Item.messageId.S;
        if (Item.fate?.S === 'acked') return { result: 'acked', messageId: known };
        // Taken over before, or a write of ours that was repeated, for its first answer was lost.
        if (Item.by.S === messageId) return { result: known === messageId ? 'first' : 'unknown', messageId: known };
        // Written as "not later" so that an unreadable time counts as past.
        if (!(Number(Item.busyUntil?.N) > Date.now())) {
          await conditionally(client.send('UpdateItem', takeOver(attempt, Item.by, deadline), time));
        } else if (Date.now() + lookMs < deadline) {
          await sleep(lookMs);
        } else {
          throw new GatewayError('unavailable', 'A message with this id is still on its way; send it again.');
        }
      }
    },

    acked: (attempt) => settle(attempt, 'fate', { S: 'acked' }),
    release: (attempt) => settle(attempt, 'busyUntil', { N: String(Date.now()) }),

    async forget(attempt) {
      const remove = {
        ...of(attempt),
        ConditionExpression: '#by = :me',
        ExpressionAttributeNames: reserved,
        ExpressionAttributeValues: { ':me': { S: attempt.messageId } },
      };
      await conditionally(client.send('DeleteItem', remove, AbortSignal.timeout(settleMs)));
    },
  };
}
