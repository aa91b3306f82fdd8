import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  type DynamoDBClientConfig,
  GetItemCommand,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Connections } from './connections';

/**
 * The connection table on DynamoDB: one conditional write of one item for each change, no transactions.
 * Item: `connectionId` (S, hash key), `openedAt` (N, ms), `expiresAt` (N, s, the table's TTL attribute).
 */
export function dynamoConnections(tableName: string, clientConfig: DynamoDBClientConfig = {}): Connections {
  const client = new DynamoDBClient(clientConfig);
  const key = (connectionId: string) => ({ connectionId: { S: connectionId } });

  return {
    async open({ connectionId, openedAt, expiresAt }) {
      const put = new PutItemCommand({
        TableName: tableName,
        Item: {
          ...key(connectionId),
          openedAt: { N: String(openedAt) },
          expiresAt: { N: String(expiresAt) },
        },
        ConditionExpression: 'attribute_not_exists(connectionId) OR openedAt <= :openedAt',
        ExpressionAttributeValues: { ':openedAt': { N: String(openedAt) } },
      });
      await conditionally(client.send(put));
    },

    async find(connectionId, now) {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: tableName, Key: key(connectionId), ConsistentRead: true }),
      );
      const openedAt = Number(Item?.openedAt?.N);
      const expiresAt = Number(Item?.expiresAt?.N);
      // Written as "not later" so that a row without a readable lease counts as absent.
      return expiresAt * 1000 > now ? { connectionId, openedAt, expiresAt } : undefined;
    },

    async remove(connectionId, openedBefore) {
      const remove = new DeleteItemCommand({
        TableName: tableName,
        Key: key(connectionId),
        ConditionExpression: 'openedAt <= :before',
        ExpressionAttributeValues: { ':before': { N: String(openedBefore) } },
      });
      return (await conditionally(client.send(remove))) ? 'removed' : 'kept';
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
