import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { connect } from 'amqplib';

/** `npm run broker`, as a process. */

const root = join(__dirname, '..', '..');
const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

function run(...args: string[]) {
  const command = ['--import', 'tsx', join(root, 'infra/local/broker/broker.cli.ts'), ...args];
  const child = spawn(process.execPath, command, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const exit = once(child, 'close').then(([code]) => ({ code, ...output }));
  return { child, output, exit };
}

test.each(['SIGINT', 'SIGTERM'] as const)('it names its URL, serves until %s, and ends with 0', async (signal) => {
  const { child, output, exit } = run('--port', '0', '--user', 'me:se:cret', '--vhost', 'orders', '--memory-mib', '64');
  await once(child.stdout, 'data');
  const [line, rest] = output.stdout.split('\n');
  const [url] = /amqp:\S+/.exec(line ?? '') ?? [];
  expect([url, rest]).toEqual([expect.stringMatching(/^amqp:\/\/me:se%3Acret@127\.0\.0\.1:\d+\/orders$/), '']);
  const connection = await connect(url as string, { noDelay: true });
  connection.on('error', () => undefined);
  const closed = once(connection, 'close');
  child.kill(signal);
  await closed;
  expect(await exit).toMatchObject({ code: 0, stderr: '' });
});

test('a taken port is told in one line that says what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { code, stderr } = await run('--port', String(port)).exit;
  other.close();
  expect(code).toBe(2);
  expect(stderr).toMatch(new RegExp(`^port ${port} is taken: .*--port \\d+.*\\n$`));
});

test.each([
  [['--port', 'http'], /--port must be a whole number from 0 to 65535, not 'http'/],
  [['--user', 'guest'], /--user must be of the form name:password, not 'guest'/],
  [['--memory-mib', '0'], /--memory-mib must be a whole number from 1/],
  [['--prot', '1'], /Unknown option '--prot'/],
  [['5672'], /Unexpected argument '5672'/],
])('%j is refused in one line', async (args, reason) => {
  const { code, stdout, stderr } = await run(...args).exit;
  expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({ code: 2, stdout: '', lines: 2 });
  expect(stderr).toMatch(reason);
});

test('--help names every option and starts nothing', async () => {
  const { code, stdout } = await run('--help').exit;
  expect(code).toBe(0);
  for (const option of ['--port', '--host', '--user', '--vhost', '--memory-mib', '--heartbeat']) {
    expect(stdout).toContain(option);
  }
});
