import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import { printableJson } from '../dead-letters/printable';
import { onFreePort } from './ports';
import type { Status } from './status';

/**
 * The page of the local stack, for a browser on this machine: its files, bundled when the stack starts, and `/status.json`.
 * It reads and never changes anything, takes nothing from elsewhere, and no other site can read it, not even one whose name
 * was made to point here.
 */

export interface Web {
  host: string;
  /** If it is taken, the next free one: port 3000 is where half of all development servers are. */
  port: number;
  portsOfOthers: readonly number[];
  /** Of the project. */
  root: string;
  webSocketUrl: string;
  asksForTokens: boolean;
  status(): Promise<Status>;
}

/** What the page is told when it is bundled, as the constant `stack`. */
export type StackForPage = Pick<Web, 'webSocketUrl' | 'asksForTokens'>;

/** Resolves once it listens. */
export async function servePage(web: Web): Promise<Server> {
  const files = await pageFiles(web);
  const headers = strictHeaders(web.webSocketUrl);
  const names = ['localhost', '127.0.0.1', '[::1]', web.host];

  const answer = async ({ method = '', url = '', headers: { host = '' } }: IncomingMessage): Promise<Answer> => {
    if (!names.includes(host.replace(/:\d+$/, ''))) return refusal(421, 'This page has another name.');
    if (method !== 'GET' && method !== 'HEAD')
      return refusal(405, 'There is nothing to change here.', { allow: 'GET, HEAD' });
    const path = url.split('?', 1)[0] as string;
    if (path === '/status.json') {
      return { status: 200, type: types['.json'], body: Buffer.from(printableJson(await web.status())) };
    }
    const file = files.get(path === '/' ? '/index.html' : path);
    return file ?? refusal(404, 'There is no such file.');
  };

  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    answer(request)
      .catch((): Answer => refusal(500, 'The page failed.'))
      .then(({ status, type, body, more }) => {
        response.writeHead(status, { ...headers, 'content-type': type, 'content-length': body.length, ...more });
        response.end(request.method === 'HEAD' ? undefined : body);
      });
  });
  return onFreePort(web.port, (port) => listen(server, port, web.host), web.portsOfOthers);
}

function listen(server: Server, port: number, host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, host, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

interface Answer {
  status: number;
  type: string;
  body: Buffer;
  more?: Record<string, string>;
}

const types = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

function refusal(status: number, reason: string, more: Record<string, string> = {}): Answer {
  return { status, type: types['.txt'], body: Buffer.from(`${reason}\n`), more };
}

/** By their paths. */
async function pageFiles({ root, webSocketUrl, asksForTokens }: Web): Promise<Map<string, Answer>> {
  const stack: StackForPage = { webSocketUrl, asksForTokens };
  const { outputFiles } = await build({
    absWorkingDir: join(root, 'infra/local/page'),
    entryPoints: ['index.html', 'icon.svg', 'page.css', 'page.ts'],
    loader: { '.html': 'copy', '.svg': 'copy' },
    outdir: '/',
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    define: { stack: JSON.stringify(stack) },
    logLevel: 'warning',
  });
  return new Map(
    outputFiles.map(({ path, contents }) => [
      path,
      { status: 200, type: types[extname(path) as keyof typeof types], body: Buffer.from(contents) },
    ]),
  );
}

function strictHeaders(webSocketUrl: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${webSocketUrl}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-store',
  };
}
