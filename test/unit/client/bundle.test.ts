import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { buildClient } from '../../../infra/client';
import type { WireCode } from '../../../lib/client';
import { type ErrorCode, errorCodes } from '../../../lib/errors';

const root = join(__dirname, '..', '..', '..');
const run = promisify(execFile);

/** An application of somebody else, with the library installed. */
let app: string;
let library: string;
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'app-'));
  library = join(app, 'node_modules', 'ws-gateway');
  await buildClient(root, library);
});
afterAll(() => rm(app, { recursive: true }));

describe('the library as it is installed', () => {
  test('has less than 4 KB, minified and gzipped', async () => {
    expect(gzipSync(await readFile(join(library, 'index.js')), { level: 9 }).length).toBeLessThan(4096);
  });

  test('needs nothing else', async () => {
    expect(await readFile(join(library, 'index.js'), 'utf8')).not.toMatch(/\bimport\b|\brequire\b|\bprocess\b/);
    expect(JSON.parse(await readFile(join(library, 'package.json'), 'utf8'))).not.toHaveProperty('dependencies');
  });

  test('is imported by Node as ws-gateway/client', async () => {
    await writeFile(
      join(app, 'app.mjs'),
      "import { connect, GatewayError } from 'ws-gateway/client';\nconsole.log(typeof connect, GatewayError.name.length > 0);",
    );
    expect((await run(process.execPath, [join(app, 'app.mjs')])).stdout).toBe('function true\n');
  });

  test.each(['nodenext', 'bundler'])('has types, under moduleResolution %s', async (moduleResolution) => {
    const folder = join(app, moduleResolution);
    await mkdir(folder);
    const module = moduleResolution === 'nodenext' ? 'nodenext' : 'esnext';
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2022',
      lib: ['es2022', 'dom'],
      types: [],
      strict: true,
    };
    const options = { ...compilerOptions, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
    await writeFile(join(folder, 'app.mts'), application);
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    await run(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) => expect(stdout).toBe(''));
  });
});

const application = `
import { connect, type ErrorCode, type Gateway, GatewayError, type Reply } from 'ws-gateway/client';

const gateway: Gateway = connect('wss://localhost', { token: async () => 'a.b.c', session: 'auto', storage: sessionStorage, WebSocket });
const off: () => void = gateway.on('recv', ({ data, seq }) => console.log(data, seq?.toFixed()));
gateway.on('state', ({ state, reason }) => state === 'closed' && reason === 'taken_over');
gateway.on('session', ({ resumed, reason }) => resumed || reason === 'incomplete');
gateway.on('error', ({ code, data, id, cause }: GatewayError) => console.log(code === 'connect_failed', data, id, cause));
// @ts-expect-error: there is no such event
gateway.on('reply', () => {});
// @ts-expect-error: data is an object
gateway.send('hello');
try {
  const { messageId } = await gateway.send({ prompt: 'hello' }, { timeoutMs: 5000, signal: AbortSignal.timeout(1000) });
  messageId.toUpperCase();
} catch (error) {
  if (error instanceof GatewayError && error.retryable) {
    const code: ErrorCode = error.code;
    // @ts-expect-error: the codes are a closed union
    code === 'tired';
  }
}
for await (const reply of gateway.replies('1', { maxBuffered: 10 })) {
  const told: Reply = reply;
  told.data;
}
off();
gateway.close();
`;

test("the gateway's codes are those on the wire", () => {
  const known: Record<WireCode, true> & Record<ErrorCode, true> = {
    bad_frame: true,
    unknown_action: true,
    invalid_message: true,
    too_large: true,
    unroutable: true,
    unavailable: true,
    unauthorized: true,
    throttled: true,
    internal: true,
  };
  expect(Object.keys(known).sort()).toEqual([...errorCodes].sort());
});
