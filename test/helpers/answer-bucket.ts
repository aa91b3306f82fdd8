import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { closeServer } from './http-server';

/** Where CloudFormation has custom resources leave their answers: a bucket behind a presigned URL, as a local HTTP server. */
export interface AnswerBucket {
  /** Whoever knows it may answer. */
  url: string;
  /** What in the URL is secret. */
  signature: string;
  /** What was left, in the order in which it came; with what was refused. */
  attempts: Attempt[];
  /** The only answer that it took. */
  answer(): Answer;
  /** How it treats those that come next, one after the other; it takes all others. */
  treat(...next: Treatment[]): void;
  close(): Promise<void>;
}

export interface Attempt {
  method: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
  taken: boolean;
}

export interface Answer {
  Status: string;
  Reason?: string;
  PhysicalResourceId: string;
  StackId: string;
  RequestId: string;
  LogicalResourceId: string;
  Data?: Record<string, string>;
}

/** A status, an answer that never comes, or a connection that is reset. */
export type Treatment = number | 'hang' | 'reset';

export async function startAnswerBucket(): Promise<AnswerBucket> {
  const signature = 'c2lnbmVkIGZvciBvbmUgcHV0';
  const treatments: Treatment[] = [];
  const attempts: Attempt[] = [];
  const server = createServer(async (request, response) => {
    const { method, headers } = request;
    const treatment = request.url === path ? (treatments.shift() ?? 200) : 403;
    attempts.push({ method, headers, body: await text(request), taken: treatment === 200 });
    if (treatment === 'reset') request.socket.resetAndDestroy();
    else if (treatment !== 'hang') response.writeHead(treatment).end();
  });
  const path = `/cloudformation-custom-resource-response/stack?X-Amz-Expires=7200&X-Amz-Signature=${signature}`;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    signature,
    attempts,
    answer() {
      const taken = attempts.filter((attempt) => attempt.taken);
      if (taken.length !== 1) throw new Error(`${taken.length} answers were taken`);
      return JSON.parse((taken[0] as Attempt).body);
    },
    treat: (...next) => void treatments.push(...next),
    close: () => closeServer(server),
  };
}
