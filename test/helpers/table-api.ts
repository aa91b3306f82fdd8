import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { table } from '../../infra/aws/table';
import { startTables } from '../../infra/local/table';
import { closeServer } from './http-server';

/** DynamoDB with the tables of infra/aws/table.ts, behind a server that fails as a test wants it. */
export interface TableApi {
  url: string;
  tableName: string;
  sessionTableName: string;
  /** From now on. */
  answer(how: TableAnswer | ((asked: TableRequest) => TableAnswer)): void;
  /** So far, refused ones included. */
  requests: readonly TableRequest[];
  /** A connection's row as it is stored, as plain values; past all faults, and not among the requests. */
  rowOf(connectionId: string): Promise<object | undefined>;
  close(): Promise<void>;
}

export interface TableRequest {
  /** `PutItem`, ... */
  operation: string;
  table: string;
}

/**
 * `throttle` and `fail` are the service's own errors, `hang` never answers, `reset` closes the socket on the request,
 * `lose` does what was asked and closes the socket on the answer.
 */
export type TableAnswer = 'work' | 'throttle' | 'fail' | 'hang' | 'reset' | 'lose';

/** Variables of a function that goes on without DynamoDB: nobody listens there. */
export const noTables = {
  TABLE_NAME: 'ConnectionTable',
  SESSION_TABLE_NAME: 'SessionTable',
  AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:1',
};

export async function startTableApi(): Promise<TableApi> {
  const tables = await startTables(table({ production: false }));
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = new DynamoDBClient({ endpoint: tables.endpoint, region: 'us-east-1', credentials });
  const requests: TableRequest[] = [];
  let answer: (asked: TableRequest) => TableAnswer = () => 'work';

  const server = createServer(async (incoming, response) => {
    const { method = 'POST', headers, socket } = incoming;
    const body = await buffer(incoming).catch(() => Buffer.of());
    const operation = String(headers['x-amz-target']).replace(/.*\./, '');
    const asked = { operation, table: tableIn(body) };
    requests.push(asked);
    const how = answer(asked);
    if (how === 'hang') return;
    if (how === 'reset') return void socket.resetAndDestroy();
    if (how === 'throttle' || how === 'fail') {
      const [status, type] =
        how === 'throttle' ? [400, 'ProvisionedThroughputExceededException'] : [500, 'InternalServerError'];
      response.writeHead(status as number, { 'content-type': 'application/x-amz-json-1.0' });
      return void response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: type }));
    }
    const passed = request(tables.endpoint, { method, headers }, (answered) => {
      if (how === 'lose') {
        answered.resume();
        return void socket.resetAndDestroy();
      }
      response.writeHead(answered.statusCode ?? 500, answered.headers);
      answered.pipe(response);
    });
    passed.on('error', () => response.destroy());
    passed.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tableName: 'ConnectionTable',
    sessionTableName: 'SessionTable',
    answer(how) {
      answer = typeof how === 'function' ? how : () => how;
    },
    requests,
    async rowOf(connectionId) {
      const get = new GetItemCommand({ TableName: 'ConnectionTable', Key: { connectionId: { S: connectionId } } });
      const { Item } = await client.send(get);
      if (Item === undefined) return undefined;
      return Object.fromEntries(
        Object.entries(Item).map(([name, { N, S }]) => [name, N === undefined ? S : Number(N)]),
      );
    },
    async close() {
      client.destroy();
      await closeServer(server);
      await tables.close();
    },
  };
}

/** A batch names its tables apart; one is asked of one alone. */
function tableIn(body: Buffer): string {
  const { TableName, RequestItems = {} } = JSON.parse(String(body) || '{}');
  return TableName ?? Object.keys(RequestItems).join();
}
