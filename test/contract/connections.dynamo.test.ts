import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { parse } from 'yaml';
import { type LocalTables, startTables } from '../../infra/local/table';
import { dynamoConnections } from '../../lib/connections.dynamo';
import { root } from '../helpers/stack';
import { describeConnections } from './connections.suite';

let tables: LocalTables | undefined;

afterAll(() => tables?.close());

describeConnections('DynamoDB (dynalite)', async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const { Resources } = parse(readFileSync(join(root, 'infra/table.yml'), 'utf8'));
  tables = await startTables(Resources);
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return dynamoConnections('ConnectionTable', {
    endpoint: tables.endpoint,
    region: 'us-east-1',
    credentials,
  });
});
