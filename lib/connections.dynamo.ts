import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Connections } from './connections';

/** The SDK itself waits for an answer without end. Its pauses between attempts, up to a second, come on top. */
const maxAttempts = 3;
/** From the connecting to the head of the answer; without the flag the SDK merely warns. */
const requestHandler = { requestTimeout: 1500, throwOnRequestTimeout: true };
/** For all attempts together, bodies of answers included; `$connect` has ten seconds. */
const callMs = 5000;

/**
 * The connection table on DynamoDB: one conditional write of one item for each change, no transactions. A call that finds
 * no table rejects within six seconds, whatever keeps it.
 * Item: `connectionId` (S, hash key), `openedAt` (N, ms), `expiresAt` (N, s, the table's TTL attribute), and with tokens
 * `userId` (S).
 */
export function dynamoConnections(tableName: string, clientConfig: DynamoDBClientConfig = {}): Connections {
  const client = new DynamoDBClient({ maxAttempts, requestHandler, ...clientConfig });
  const inTime = () => ({ abortSignal: AbortSignal.timeout(callMs) });
  const key = (connectionId: string) => ({ connectionId: { S: connectionId } });

  return {
    async open({ connectionId, openedAt, expiresAt, userId }) {
      const put = new PutItemCommand({
        TableName: tableName,
        Item: {
          ...key(connectionId),
          openedAt: { N: String(openedAt) },
          expiresAt: { N: String(expiresAt) },
          ...(userId === undefined ? {} : { userId: { S: userId } }),
        },
        ConditionExpression: 'attribute_not_exists(connectionId) OR openedAt <= :openedAt',
        ExpressionAttributeValues: { ':openedAt': { N: String(openedAt) } },
      });
      await conditionally(client.send(put, inTime()));
    },

    async find(connectionId, now) {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: tableName, Key: key(connectionId), ConsistentRead: true }),
        inTime(),
      );
      const openedAt = Number(Item?.openedAt?.N);
      const expiresAt = Number(Item?.expiresAt?.N);
      // Written as "not later" so that a row without a readable lease counts as absent.
      if (!(expiresAt * 1000 > now)) return undefined;
      const userId = Item?.userId?.S;
      return { connectionId, openedAt, expiresAt, ...(userId === undefined ? {} : { userId }) };
    },

    async remove(connectionId, openedBefore) {
      const remove = new DeleteItemCommand({
        TableName: tableName,
        Key: key(connectionId),
        ConditionExpression: 'openedAt <= :before',
        ExpressionAttributeValues: { ':before': { N: String(openedBefore) } },
      });
      return (await conditionally(client.send(remove, inTime()))) ? 'removed' : 'kept';
    },
  };
}

/** Whether the write's condition held. */
async function conditionally(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}
