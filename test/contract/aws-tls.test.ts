import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { buildFunctions } from '../../infra/build';
import { type FunctionProcess, functionProcess } from '../helpers/function-process';
import { root } from '../helpers/stack';

/** What the functions ask of AWS, over TLS as on AWS: `connect` as it is deployed, and DynamoDB by a certificate of dynalite's. */

let server: Server;
let asked: { host: string | undefined }[];
let connections: number;
let connect: FunctionProcess;

beforeAll(async () => {
  await buildFunctions(root);
  const [key, cert] = ['key', 'crt'].map((part) =>
    readFileSync(join(root, `node_modules/dynalite/ssl/server-${part}.pem`)),
  );
  server = createServer({ key, cert }, (request, response) => {
    asked.push({ host: request.headers.host });
    request.resume().on('end', () => response.end('{}'));
  });
  server.on('secureConnection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(() => connect.kill());

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

async function connectTwice(env: Record<string, string>): Promise<unknown[]> {
  asked = [];
  connections = 0;
  const endpoint = `https://localhost:${(server.address() as AddressInfo).port}`;
  const tables = { TABLE_NAME: 'connections', SESSION_TABLE_NAME: 'sessions', AWS_ENDPOINT_URL_DYNAMODB: endpoint };
  connect = functionProcess('connect', { env: { ...tables, ...env } });
  const event = { requestContext: { connectionId: 'c', eventType: 'CONNECT', connectedAt: 1 } };
  return [await connect.invoke(event), await connect.invoke(event)];
}

test('a row is written over a connection that is kept for the next', async () => {
  const responses = await connectTwice({ NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  expect(responses).toEqual([{ statusCode: 200 }, { statusCode: 200 }]);
  const host = `localhost:${(server.address() as AddressInfo).port}`;
  expect(asked).toEqual([{ host }, { host }]);
  expect(connections).toBe(1);
});

test('nothing is asked of whoever has a certificate that nobody vouches for', async () => {
  expect(await connectTwice({})).toEqual([{ statusCode: 503 }, { statusCode: 503 }]);
  expect(asked).toEqual([]);
  const reasons = connect.log.map(({ error }) => (error as { name: string }).name);
  expect(reasons).toEqual([expect.stringMatching(/CERT|SIGNED/), expect.stringMatching(/CERT|SIGNED/)]);
});
