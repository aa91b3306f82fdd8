import { afterAll } from '@jest/globals';
import { dynamoConnections } from '../../lib/connections.dynamo';
import { startTableApi, type TableApi } from '../helpers/table-api';
import { describeConnections } from './connections.suite';

let table: TableApi | undefined;

afterAll(() => table?.close());

describeConnections('DynamoDB (dynalite)', async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  table = await startTableApi();
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const config = { endpoint: table.url, region: 'us-east-1', credentials };
  return { connections: dynamoConnections(table.tableName, config), rowOf: table.rowOf };
});
