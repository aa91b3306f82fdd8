import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CreateTableCommand, type CreateTableCommandInput, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import dynalite from 'dynalite';
import type { Resources } from '../aws/intrinsics';

/**
 * DynamoDB on a laptop: dynalite in memory, with the tables that the CloudFormation resources describe, each named
 * after its logical id. dynalite expires nothing (readers honour `expiresAt` themselves) and knows no transactions.
 */

export interface LocalTables {
  /** http://127.0.0.1:port */
  endpoint: string;
  close(): Promise<void>;
}

export async function startTables(resources: Resources): Promise<LocalTables> {
  const server: Server = dynalite({ createTableMs: 0 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new DynamoDBClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const tables = Object.entries(resources).filter(([, { Type }]) => Type === 'AWS::DynamoDB::Table');
  for (const [TableName, { Properties = {} }] of tables) {
    const { KeySchema, AttributeDefinitions, GlobalSecondaryIndexes } =
      Properties as unknown as CreateTableCommandInput;
    await client.send(
      new CreateTableCommand({
        TableName,
        KeySchema,
        AttributeDefinitions,
        ...(GlobalSecondaryIndexes === undefined ? {} : { GlobalSecondaryIndexes }),
        BillingMode: 'PAY_PER_REQUEST',
      }),
    );
  }
  client.destroy();
  return {
    endpoint,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
