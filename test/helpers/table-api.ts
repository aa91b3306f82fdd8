import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { table } from '../../infra/aws/table';
import { startTables } from '../../infra/local/table';

/** DynamoDB with the connection table of infra/aws/table.ts, behind a server that fails as a test wants it. */
export interface TableApi {
  url: string;
  tableName: string;
  /** From now on. */
  answer(how: TableAnswer): void;
  /** Requests so far, refused ones included. */
  requests: number;
  close(): Promise<void>;
}

/** `throttle` and `fail` are the service's own errors, `hang` never answers, `reset` closes the socket on the request. */
export type TableAnswer = 'work' | 'throttle' | 'fail' | 'hang' | 'reset';

export async function startTableApi(): Promise<TableApi> {
  const tables = await startTables(table({ production: false }));
  let how: TableAnswer = 'work';

  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    api.requests += 1;
    if (how === 'hang') return;
    if (how === 'reset') return void incoming.socket.resetAndDestroy();
    if (how === 'work') return void forward(incoming, response, tables.endpoint);
    const [status, type] =
      how === 'throttle' ? [400, 'ProvisionedThroughputExceededException'] : [500, 'InternalServerError'];
    incoming.resume();
    response.writeHead(status as number, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: `${type}.` }));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api: TableApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tableName: 'ConnectionTable',
    answer(next) {
      how = next;
    },
    requests: 0,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await tables.close();
    },
  };
  return api;
}

function forward(incoming: IncomingMessage, response: ServerResponse, endpoint: string): void {
  const { method = 'POST', headers } = incoming;
  const passed = request(endpoint, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  passed.on('error', () => response.destroy());
  incoming.pipe(passed);
}
