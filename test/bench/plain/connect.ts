import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';

/** `$connect` as it is mostly written: the SDK as it comes, its document client, zod. */

const { TABLE_NAME } = z.object({ TABLE_NAME: z.string() }).parse(process.env);
const Event = z.object({ requestContext: z.object({ connectionId: z.string(), connectedAt: z.number() }) });
const table = DynamoDBDocumentClient.from(new DynamoDBClient());

export const handler = async (event: unknown) => {
  const { connectionId, connectedAt } = Event.parse(event).requestContext;
  const expiresAt = Math.floor(connectedAt / 1000) + 7800;
  await table.send(new PutCommand({ TableName: TABLE_NAME, Item: { connectionId, openedAt: connectedAt, expiresAt } }));
  return { statusCode: 200 };
};
