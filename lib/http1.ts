import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { urlToHttpOptions } from 'node:url';
import { trusted } from './http';

/**
 * Requests by HTTP/1.1 of whose answers the head counts, on connections that are kept. It does what these need of
 * `node:http`, in half of its time: for posts to @connections that is most of what a reply costs. What it does not
 * understand of an answer is behind the head, and ends the connection, never the request.
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
  /** As much of it as came, if its length was told. */
  body: string;
}

/**
 * Rejects where there was no head of an answer; with an error named TimeoutError, where there was none in time. A request that
 * failed may have been served.
 */
export type Send = (request: Request, timeoutMs: number) => Promise<Answer>;

interface Connection {
  socket: Socket;
  /** Whether it has served a request. */
  isKept: boolean;
  /** Of the request under way. */
  onText?: ((text: string) => void) | undefined;
  onEnd?: ((error: Error) => void) | undefined;
}

/** No head of API Gateway's is as long, nor a body of its errors. */
const maxAnswerChars = 65_536;

/** @param url `http:` or `https:`; its path is not used. */
export function http1(url: URL): Send {
  const open = opener(url);
  const idle: Connection[] = [];

  const connected = (): Connection => {
    const connection: Connection = { socket: open(), isKept: false };
    const { socket } = connection;
    const end = (error = new Error('the connection was closed before an answer')) => {
      const at = idle.indexOf(connection);
      if (at >= 0) idle.splice(at, 1);
      socket.destroy();
      connection.onEnd?.(error);
    };
    // A byte is a character: lengths are told in bytes.
    socket.setEncoding('latin1');
    // What was not asked for is an answer to nothing that comes later.
    socket.on('data', (text: string) => (connection.onText === undefined ? end() : connection.onText(text)));
    socket.on('error', end);
    socket.on('end', () => end());
    socket.on('close', () => end());
    return connection;
  };

  return (request, timeoutMs) =>
    new Promise((resolve, reject) => {
      const connection = idle.pop() ?? connected();
      const { socket, isKept } = connection;
      let text = '';
      let answer: Answer | undefined;

      const release = (isReusable: boolean) => {
        clearTimeout(timer);
        connection.onText = undefined;
        connection.onEnd = undefined;
        if (!isReusable) return void socket.destroy();
        connection.isKept = true;
        socket.unref();
        idle.push(connection);
      };
      const fail = (error: Error) => {
        release(false);
        // They waited as long as this one: after a freeze each would fail in its turn.
        if (isKept) for (const other of idle.splice(0)) other.socket.destroy();
        if (answer === undefined) reject(error);
        else resolve(answer);
      };
      connection.onEnd = fail;
      connection.onText = (more) => {
        text += more;
        const read = readAnswer(text);
        if (read?.answer.status === 0) return fail(new Error('the answer is none of HTTP/1.1'));
        answer = read?.answer;
        if (read?.isWhole) {
          release(read.isReusable);
          resolve(read.answer);
        } else if (text.length > maxAnswerChars) fail(new Error('the answer is too long'));
      };
      const late = () => {
        if (connection.onEnd === fail) fail(new DOMException(`no answer in ${timeoutMs} ms`, 'TimeoutError'));
      };
      // In a process that had no CPU for so long, the answer may have come and not have been read yet.
      const timer = setTimeout(() => setImmediate(late), timeoutMs);
      socket.ref();
      socket.write(textOf(request));
    });
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

function textOf({ method, path, headers, body }: Request): string {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/**
 * Undefined while there is no head; of status 0 where it is none of HTTP/1.1. A body in chunks is waited for and left as it
 * came; one whose end is not told is not waited for.
 */
function readAnswer(text: string): { answer: Answer; isWhole: boolean; isReusable: boolean } | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd + 2);
  const bodyAt = headEnd + 4;
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(head)?.[1] ?? 0);
  // Something is said before the answer: `103 Early Hints`.
  if (status >= 100 && status < 200) return readAnswer(text.slice(bodyAt));
  const body = text.slice(bodyAt);
  const length = lengthOf(status, head, body);
  return {
    answer: { status, head, body: Buffer.from(body, 'latin1').toString() },
    isWhole: length === undefined || body.length >= length,
    isReusable: body.length === length && !/^HTTP\/1\.0|\r\nconnection: *close/i.test(head),
  };
}

/** Characters; of chunks, infinite until the last has come. */
function lengthOf(status: number, head: string, body: string): number | undefined {
  if (status === 204) return 0;
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    return /(^|\r\n)0\r\n\r\n$/.test(body) ? body.length : Number.POSITIVE_INFINITY;
  }
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(head) ?? [];
  return length === undefined ? undefined : Number(length);
}
