import {
  ApiGatewayManagementApiClient,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import amqp from 'amqplib';
import { z } from 'zod';

/**
 * The consumer as it is mostly written: the SDK as it comes, its document client, zod. All posts at once, in no order;
 * who is gone leaves the table, and what else fails becomes a dead letter.
 */

const env = z
  .object({ TABLE_NAME: z.string(), MANAGEMENT_ENDPOINT: z.url(), AMQP_URL: z.string(), WS_QUEUE: z.string() })
  .parse(process.env);
const Event = z.object({ rmqMessagesByQueue: z.record(z.string(), z.array(z.object({ data: z.string() }))) });
const Reply = z.object({
  pattern: z.object({ cmd: z.string() }),
  data: z.looseObject({ metadata: z.object({ socket_id: z.string() }) }),
});
const table = DynamoDBDocumentClient.from(new DynamoDBClient());
const api = new ApiGatewayManagementApiClient({ endpoint: env.MANAGEMENT_ENDPOINT });

export const handler = async (event: unknown): Promise<void> => {
  const messages = Object.values(Event.parse(event).rmqMessagesByQueue).flat();
  await Promise.all(messages.map(({ data }) => deliver(Buffer.from(data, 'base64'))));
};

async function deliver(body: Buffer): Promise<void> {
  const { pattern, data } = Reply.parse(JSON.parse(body.toString()));
  const { metadata, ...rest } = data;
  const frame = JSON.stringify({ event: pattern.cmd, data: rest });
  try {
    await api.send(new PostToConnectionCommand({ ConnectionId: metadata.socket_id, Data: frame }));
  } catch (error) {
    if (!(error instanceof GoneException)) return deadLetter(body);
    await table.send(new DeleteCommand({ TableName: env.TABLE_NAME, Key: { connectionId: metadata.socket_id } }));
  }
}

async function deadLetter(body: Buffer): Promise<void> {
  const connection = await amqp.connect(env.AMQP_URL, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(`${env.WS_QUEUE}.dead`, body, { persistent: true });
  await channel.waitForConfirms();
  await connection.close();
}
