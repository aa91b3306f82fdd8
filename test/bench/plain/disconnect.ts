import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';

/** `$disconnect`, in the manner of `$connect` beside it. */

const { TABLE_NAME } = z.object({ TABLE_NAME: z.string() }).parse(process.env);
const Event = z.object({ requestContext: z.object({ connectionId: z.string() }) });
const table = DynamoDBDocumentClient.from(new DynamoDBClient());

export const handler = async (event: unknown) => {
  const { connectionId } = Event.parse(event).requestContext;
  await table.send(new DeleteCommand({ TableName: TABLE_NAME, Key: { connectionId } }));
  return { statusCode: 200 };
};
