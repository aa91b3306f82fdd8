import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeServer } from './http-server';

/** AWS Secrets Manager with one secret, as a local HTTP server that fails as a test wants it. */
export interface SecretsApi {
  url: string;
  secretArn: string;
  /** Its text. */
  secret: string;
  /** From now on; `status` and `error` are those of the service. */
  answer(how: SecretsAnswer): void;
  /** For the secret so far, refused ones included. */
  requests: number;
  close(): Promise<void>;
}

/** `stall` begins an answer and never ends it. */
export type SecretsAnswer = 'work' | 'hang' | 'stall' | { status: number; error: string };

export async function startSecretsApi(secret: string): Promise<SecretsApi> {
  let how: SecretsAnswer = 'work';
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { SecretId } = JSON.parse(String(Buffer.concat(chunks)));
    if (request.headers['x-amz-target'] !== 'secretsmanager.GetSecretValue' || SecretId !== api.secretArn) {
      return refuse(response, 400, 'ResourceNotFoundException');
    }
    api.requests += 1;
    if (how === 'hang') return;
    if (how === 'stall') return void response.writeHead(200, { 'content-length': 1000 }).write('{');
    if (how !== 'work') return refuse(response, how.status, how.error);
    respond(response, 200, {
      ARN: SecretId,
      CreatedDate: 1_700_000_000,
      Name: 'broker',
      SecretString: api.secret,
      VersionId: '4e3c7f0a-5a0f-4d0f-9f0e-3c1f0d9a7b11',
      VersionStages: ['AWSCURRENT'],
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api: SecretsApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    secretArn: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:broker-a1b2c3',
    secret,
    answer(next) {
      how = next;
    },
    requests: 0,
    close: () => closeServer(server),
  };
  return api;
}

function refuse(response: ServerResponse, status: number, error: string): void {
  respond(response, status, { __type: error, Message: 'as the test wants it' });
}

function respond(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
}
