import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { CreateTableCommand, type CreateTableCommandInput, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { Resources } from '../aws/intrinsics';

/**
 * DynamoDB on a laptop: dynalite in memory, with the tables that the CloudFormation resources describe, each named
 * after its logical id. dynalite expires nothing (readers honour `expiresAt` themselves) and knows no transactions. It has
 * a thread of its own: a condition alone costs it as much as a message costs all the rest.
 */

export interface LocalTables {
  /** http://127.0.0.1:port */
  endpoint: string;
  close(): Promise<void>;
}

export async function startTables(resources: Resources): Promise<LocalTables> {
  const thread = new Worker(program, { eval: true });
  const [port] = (await once(thread, 'message')) as [number];
  const endpoint = `http://127.0.0.1:${port}`;
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
    async close() {
      await thread.terminate();
    },
  };
}

/** A text, for it has no file where the plugin is bundled. */
const program = `
const dynalite = require(${JSON.stringify(require.resolve('dynalite'))});
const server = dynalite({ createTableMs: 0 });
server.listen(0, '127.0.0.1', () => require('node:worker_threads').parentPort.postMessage(server.address().port));
`;
