import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectSecure, createSecureContext, type SecureContext } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { AnswerReader } from './http-answer';
import { reasonOf } from './reason';

/**
 * Requests to services of AWS by HTTP/1.1, on connections that are kept and shared by the process. It does what these need
 * of `node:http`, in half of its time, and without the quarter of a cold start that `node:http` takes to load and to
 * compile. What it does not understand of an answer is behind the head, and ends the connection, never the request.
 */

export interface Request {
  method: string;
  /** As it goes over the wire; so are the headers, `host` among them. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface Answer {
  status: number;
  /** The status line and the headers. */
  head: string;
  /** The body, or as much of it as came. */
  text: string;
  /** Why the rest of the body did not come. */
  cutOff?: HttpError;
}

export interface Times {
  /** From the connecting to the head of the answer, milliseconds. */
  headMs: number;
  /** For the whole: what it is aborted for is the error. Without it the body may take what the head has left. */
  signal?: AbortSignal;
}

/** Named TimeoutError where there was nothing in time. The request may have been served. */
export class HttpError extends Error {
  /** As Node has it: `ECONNRESET`. */
  readonly code: string | undefined;
  /** Whether the connection had waited since an earlier request: the other side may have closed it before this one. */
  readonly wasKept: boolean;

  constructor(cause: NodeJS.ErrnoException, wasKept: boolean) {
    super(reasonOf(cause));
    this.name = cause.name;
    // That of an aborted signal is a number.
    this.code = typeof cause.code === 'string' ? cause.code : undefined;
    this.wasKept = wasKept;
  }
}

/** Rejects with HttpError where there was no head of an answer. */
export type Send = (request: Request, times: Times) => Promise<Answer>;

interface Connection {
  socket: Socket;
  /** When it had served its last request, milliseconds since 1970. */
  keptAt?: number;
  /** Of the request under way. */
  onText?: ((text: string) => void) | undefined;
  onEnd?: ((error?: Error) => void) | undefined;
}

/** A NAT gateway of AWS forgets a connection that says nothing for 350 s. */
const longestKeptMs = 300_000;

/** By the origin; the one that served last is the first to serve again. */
const idleTo = new Map<string, Connection[]>();
const openTo = new Map<string, () => Socket>();

/** @param url `http:` or `https:`, else it throws; its path is not used. */
export function httpClient(url: URL): Send {
  const open = openTo.get(url.origin) ?? opener(url);
  openTo.set(url.origin, open);
  const idle = idleTo.get(url.origin) ?? [];
  idleTo.set(url.origin, idle);

  return (request, { headMs, signal }) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(new HttpError(signal.reason, false));
      const connection = keptIn(idle) ?? connected(open(), idle);
      const { socket } = connection;
      const wasKept = connection.keptAt !== undefined;
      const reader = new AnswerReader();
      let isSettled = false;

      const settle = (isReusable: boolean) => {
        isSettled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        connection.onText = undefined;
        connection.onEnd = undefined;
        if (!isReusable) return void socket.destroy();
        connection.keptAt = Date.now();
        socket.unref();
        idle.push(connection);
      };
      const succeed = () => {
        settle(reader.isReusable);
        resolve(reader.answer());
      };
      const fail = (cause: Error) => {
        if (isSettled) return;
        settle(false);
        // They waited as long as this one: after a freeze each would fail in its turn.
        if (wasKept) for (const other of idle.splice(0)) other.socket.destroy();
        const error = new HttpError(cause, wasKept);
        if (reader.hasHead) resolve({ ...reader.answer(), cutOff: error });
        else reject(error);
      };
      connection.onText = (text) => {
        const unreadable = reader.read(text);
        if (unreadable !== undefined) fail(new Error(unreadable));
        else if (reader.isWhole) succeed();
      };
      connection.onEnd = (error) => {
        if (error === undefined && reader.endsWithItsConnection) succeed();
        else fail(error ?? closedError());
      };
      const onLate = () => {
        if (!reader.hasHead || signal === undefined) fail(timeoutError(headMs));
      };
      const onAbort = () => setImmediate(() => fail(signal?.reason));
      // After a freeze timers come first: an answer that lies there already is read before this one counts.
      const timer = setTimeout(() => setImmediate(onLate), headMs);
      signal?.addEventListener('abort', onAbort);
      socket.ref();
      socket.write(textOf(request));
    });
}

function keptIn(idle: Connection[]): Connection | undefined {
  for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
    if (Date.now() - (kept.keptAt ?? 0) < longestKeptMs) return kept;
    kept.socket.destroy();
  }
  return undefined;
}

function connected(socket: Socket, idle: Connection[]): Connection {
  const connection: Connection = { socket };
  const end = (error?: Error) => {
    const at = idle.indexOf(connection);
    if (at >= 0) idle.splice(at, 1);
    connection.onEnd?.(error);
    socket.destroy();
  };
  // A byte is a character: lengths are told in bytes.
  socket.setEncoding('latin1');
  // What was not asked for is an answer to nothing that comes later.
  socket.on('data', (text: string) => (connection.onText === undefined ? end() : connection.onText(text)));
  socket.on('error', end);
  socket.on('end', () => end());
  socket.on('close', () => end());
  return connection;
}

function opener(url: URL): () => Socket {
  const host = String(urlToHttpOptions(url).hostname);
  if (url.protocol === 'http:') return () => connectPlain({ host, port: Number(url.port || 80), noDelay: true });
  if (url.protocol !== 'https:') throw new Error(`${url.protocol} is neither http: nor https:.`);
  const options = {
    host,
    port: Number(url.port || 443),
    secureContext: trusted(),
    ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
  let session: Buffer | undefined;
  return () => {
    const socket = connectSecure({ ...options, ...(session === undefined ? {} : { session }) });
    socket.setNoDelay(true);
    socket.on('session', (latest) => {
      session = latest;
    });
    return socket;
  };
}

let trust: SecureContext | undefined;

/**
 * Whom Node trusts. Else each connection would read that for itself, and the first of them all root certificates: with the
 * first event, for which a function has less CPU than for its start.
 */
function trusted(): SecureContext {
  trust ??= createSecureContext();
  return trust;
}

function textOf({ method, path, headers, body }: Request): string {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function timeoutError(ms: number): Error {
  return Object.assign(new Error(`No answer in ${ms} ms.`), { name: 'TimeoutError' });
}

function closedError(): Error {
  return Object.assign(new Error('The connection was closed before the answer was complete.'), { code: 'ECONNRESET' });
}
