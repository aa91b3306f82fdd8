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

  constructor(cause: NodeJS.ErrnoException) {
    super(reasonOf(cause));
    this.name = cause.name;
    // That of an aborted signal is a number.
    this.code = typeof cause.code === 'string' ? cause.code : undefined;
  }
}

/**
 * Rejects with HttpError where there was no head of an answer. A request on a connection that had waited since an earlier one,
 * and ends without an answer, is made again on a new one: mostly the other side had closed it before.
 */
export type Send = (request: Request, times: Times) => Promise<Answer>;

interface Connection {
  socket: Socket;
  /** When its last request was written, milliseconds since 1970. */
  usedAt: number;
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

  return async (request, times) => {
    if (times.signal?.aborted) throw new HttpError(times.signal.reason);
    const startedAt = Date.now();
    const kept = keptIn(idle);
    if (kept !== undefined) {
      try {
        return await sendOn(kept, idle, request, times);
      } catch (error) {
        // They waited as long as this one: after a freeze each would fail in its turn.
        for (const other of idle.splice(0)) other.socket.destroy();
        if ((error as HttpError).name === 'TimeoutError' || times.signal?.aborted) throw error;
      }
    }
    const headMs = Math.max(1, times.headMs - (Date.now() - startedAt));
    return sendOn(connected(open(), idle), idle, request, { ...times, headMs });
  };
}

function keptIn(idle: Connection[]): Connection | undefined {
  for (let kept = idle.pop(); kept !== undefined; kept = idle.pop()) {
    if (Date.now() - kept.usedAt < longestKeptMs) return kept;
    kept.socket.destroy();
  }
  return undefined;
}

/** Puts the connection back where it may serve again. */
function sendOn(
  connection: Connection,
  idle: Connection[],
  request: Request,
  { headMs, signal }: Times,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { socket } = connection;
    const reader = new AnswerReader();
    let isSettled = false;

    const settle = (isReusable: boolean) => {
      isSettled = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      connection.onText = undefined;
      connection.onEnd = undefined;
      // An answer may come before the end of its request.
      if (!isReusable || socket.writableLength > 0) return void socket.destroy();
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
      const error = new HttpError(cause);
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
    connection.usedAt = Date.now();
  });
}

function connected(socket: Socket, idle: Connection[]): Connection {
  const connection: Connection = { socket, usedAt: 0 };
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
    let isSecure = false;
    socket.setNoDelay(true);
    socket.on('secureConnect', () => {
      isSecure = true;
    });
    socket.on('session', (latest) => {
      session = latest;
    });
    // It may have been the session that somebody did not like.
    const forget = () => {
      if (!isSecure) session = undefined;
    };
    for (const end of ['error', 'end', 'close']) socket.on(end, forget);
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
