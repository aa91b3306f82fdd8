import { afterAll } from '@jest/globals';
import { table } from '../../infra/aws/table';
import { type LocalTables, startTables } from '../../infra/local/table';
import { dynamoConnections } from '../../lib/connections.dynamo';
import { describeConnections } from './connections.suite';

let tables: LocalTables | undefined;

afterAll(() => tables?.close());

describeConnections('DynamoDB (dynalite)', async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  tables = await startTables(table({ production: false }));
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return dynamoConnections('ConnectionTable', {
    endpoint: tables.endpoint,
    region: 'us-east-1',
    credentials,
  });
});
