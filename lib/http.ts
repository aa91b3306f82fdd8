import http from 'node:http';
import https from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { urlToHttpOptions } from 'node:url';

/**
 * One POST and its whole answer as a text, within a bounded time: for the head of the answer, and for all of it. Connections
 * are kept and shared by the process. It never throws, and whatever a socket does later reaches nobody.
 */

export type HttpAnswer =
  | { result: 'answered'; status: number; text: string }
  /** `wasKept`: the connection had waited since an earlier request, and the other side may have closed it before this one. */
  | { result: 'failed'; error: Error; wasKept: boolean };

export interface HttpTimes {
  /** From the connecting to the head of the answer. */
  headMs: number;
  /** For the whole; `error` is what it was aborted for. */
  signal: AbortSignal;
}

export type HttpPost = (headers: Record<string, string>, body: string, times: HttpTimes) => Promise<HttpAnswer>;

/** DynamoDB answers with 16 MB at most. */
const maxAnswerChars = 20_000_000;

interface Transport {
  request: typeof http.request;
  agent: http.Agent;
}

const kept = { keepAlive: true, maxSockets: 50 };
const openTransport: Record<string, () => Transport> = {
  'http:': () => ({ request: http.request, agent: new http.Agent(kept) }),
  'https:': () => ({ request: https.request, agent: new https.Agent({ ...kept, secureContext: trusted() }) }),
};
const transports = new Map<string, Transport>();
let trust: SecureContext | undefined;

/**
 * Whom Node trusts. Else each connection would read that for itself, and the first of them all root certificates: with the
 * first event, for which a function has less CPU than for its start.
 */
export function trusted(): SecureContext {
  trust ??= createSecureContext();
  return trust;
}

function transportTo({ protocol }: URL): Transport {
  const transport = transports.get(protocol) ?? openTransport[protocol]?.();
  if (transport === undefined) throw new Error(`${protocol} is neither http: nor https:.`);
  transports.set(protocol, transport);
  return transport;
}

/** @param url `http:` or `https:`, else it throws. */
export function httpPost(url: URL): HttpPost {
  const { request, agent } = transportTo(url);
  const options = { ...urlToHttpOptions(url), method: 'POST', agent };

  return (headers, body, { headMs, signal }) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve({ result: 'failed', error: signal.reason, wasKept: false });
      const outgoing = request({ ...options, headers });
      let text = '';
      let isSettled = false;
      let hasHead = false;
      const settle = (answer: HttpAnswer) => {
        isSettled = true;
        clearTimeout(late);
        signal.removeEventListener('abort', onAbort);
        resolve(answer);
      };
      const fail = (error: Error) => {
        if (isSettled) return;
        settle({ result: 'failed', error, wasKept: outgoing.reusedSocket });
        outgoing.destroy();
        // They waited as long as this one: after a freeze, each would fail in its turn.
        if (outgoing.reusedSocket) closeIdle(agent);
      };
      const failWithoutHead = () => {
        if (!hasHead) fail(timeoutError(headMs));
      };
      const onAbort = () => setImmediate(fail, signal.reason);
      // After a freeze timers come first: an answer that lies there already is read before this one counts.
      const late = setTimeout(() => setImmediate(failWithoutHead), headMs);
      signal.addEventListener('abort', onAbort);
      outgoing.on('error', fail);
      outgoing.on('response', (response) => {
        hasHead = true;
        clearTimeout(late);
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > maxAnswerChars) fail(new Error('The answer is too large.'));
        });
        response.on('error', fail);
        response.on('end', () => settle({ result: 'answered', status: response.statusCode ?? 0, text }));
      });
      // Also after an answer, which has settled it.
      outgoing.on('close', () => fail(closedError()));
      outgoing.end(body);
    });
}

function timeoutError(ms: number): Error {
  return Object.assign(new Error(`No answer in ${ms} ms.`), { name: 'TimeoutError' });
}

function closedError(): Error {
  return Object.assign(new Error('The connection was closed before the answer was complete.'), { code: 'ECONNRESET' });
}

function closeIdle({ freeSockets }: http.Agent): void {
  for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
}
