import type { AttributeValue, DeleteItemInput, UpdateItemInput } from '@aws-sdk/client-dynamodb';
import type { AwsClientConfig } from './aws-json';
import type { Connections } from './connections';
import { conditionally, dynamoClient, inTime } from './dynamo';

/**
 * The connection table on DynamoDB: one conditional write of one item for each change, no transactions. A call that finds
 * no table rejects within six seconds, whatever keeps it.
 * Item: `connectionId` (S, hash key), `openedAt` (N, ms), `expiresAt` (N, s, the table's TTL attribute), with tokens
 * `userId` (S); in a session `session` (S) and `sessionEndsAt` (N, ms); where somebody asked for its session before it had
 * one, `plainUntil` (N, ms).
 */
export function dynamoConnections(tableName: string, config: AwsClientConfig = {}): Connections {
  const client = dynamoClient(config);
  const of = (connectionId: string) => ({ TableName: tableName, Key: { connectionId: { S: connectionId } } });

  const rowOf = async (connectionId: string, time: AbortSignal) => {
    const get = { ...of(connectionId), ConsistentRead: true };
    return (await client.send('GetItem', get, time)).Item;
  };

  /** False also where another function has been promised a later time, which stays. */
  const isPlainUntil = async (connectionId: string, plainUntil: number, time: AbortSignal) => {
    const update = {
      ...of(connectionId),
      UpdateExpression: 'SET plainUntil = :until',
      // Not in parentheses, for which dynalite takes milliseconds.
      ConditionExpression: `${isPlain} AND attribute_not_exists(plainUntil) OR ${isPlain} AND plainUntil < :until`,
      ExpressionAttributeNames: reserved,
      ExpressionAttributeValues: { ':until': number(plainUntil) },
    };
    return (await conditionally(client.send('UpdateItem', update, time))) !== undefined;
  };

  return {
    async open({ connectionId, openedAt, expiresAt, userId }) {
      const put = {
        TableName: tableName,
        Item: {
          connectionId: { S: connectionId },
          openedAt: number(openedAt),
          expiresAt: number(expiresAt),
          ...(userId === undefined ? {} : { userId: { S: userId } }),
        },
        // Not "<=": an attempt that was given up and arrives late would take the row out of its session.
        ConditionExpression: 'attribute_not_exists(connectionId) OR openedAt < :openedAt',
        ExpressionAttributeValues: { ':openedAt': number(openedAt) },
      };
      await conditionally(client.send('PutItem', put, inTime()));
    },

    async join(connectionId, session, sessionEndsAt) {
      const time = inTime();
      const update: UpdateItemInput = {
        ...of(connectionId),
        UpdateExpression: 'SET #session = :session, sessionEndsAt = :endsAt',
        ConditionExpression:
          'attribute_exists(connectionId) AND (attribute_not_exists(#session) OR #session = :session)',
        ExpressionAttributeNames: reserved,
        ExpressionAttributeValues: { ':session': { S: session }, ':endsAt': number(sessionEndsAt) },
        ReturnValues: 'ALL_NEW',
      };
      const joined = await conditionally(client.send('UpdateItem', update, time));
      if (joined !== undefined) return { result: 'joined', plainUntil: Number(joined.Attributes?.plainUntil?.N ?? 0) };
      return { result: (await rowOf(connectionId, time)) === undefined ? 'absent' : 'in_another' };
    },

    async membership(connectionId, plainUntil) {
      const time = inTime();
      if (plainUntil !== undefined && (await isPlainUntil(connectionId, plainUntil, time))) return undefined;
      const { session, sessionEndsAt } = (await rowOf(connectionId, time)) ?? {};
      return session?.S === undefined ? undefined : { session: session.S, sessionEndsAt: Number(sessionEndsAt?.N) };
    },

    async remove(connectionId, openedBefore) {
      const remove: DeleteItemInput = {
        ...of(connectionId),
        ConditionExpression: 'openedAt <= :before',
        ExpressionAttributeValues: { ':before': number(openedBefore) },
        ReturnValues: 'ALL_OLD',
      };
      const removed = await conditionally(client.send('DeleteItem', remove, inTime()));
      if (removed === undefined) return { result: 'kept' };
      const session = removed.Attributes?.session?.S;
      return { result: 'removed', ...(session === undefined ? {} : { session }) };
    },
  };
}

const isPlain = 'attribute_exists(connectionId) AND attribute_not_exists(#session)';

/** DynamoDB takes the word for one of its own. */
const reserved = { '#session': 'session' };

function number(value: number): AttributeValue {
  return { N: String(value) };
}
