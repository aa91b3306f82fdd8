import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../helpers/stack';
import { CONVERSATION_MS, type Conversation } from './conversation';

/**
 * Conversations by programs in other languages, on what Debian's packages python3-pika, golang-go and
 * golang-github-rabbitmq-amqp091-go-dev bring.
 */

const run = promisify(execFile);

// Not whichever python3 comes first: pika is Debian's.
const python = (file: string) => program('/usr/bin/python3', ['-B', file]);

export const pikaBlocking = python('pika_blocking.py');
export const pikaAsyncio = python('pika_asyncio.py');
export const amqp091 = program('/usr/bin/go', ['run', 'amqp091/main.go'], {
  GO111MODULE: 'off',
  GOPATH: '/usr/share/gocode',
  GOFLAGS: '',
  // A C compiler is only recommended by Debian's package.
  CGO_ENABLED: '0',
  GOCACHE: join(root, '.cache/go'),
});

/** A program that takes its setting as an argument, in JSON, and prints its transcript so. */
function program(command: string, args: string[], env: Record<string, string> = {}): Conversation {
  return async (setting) => {
    const { stdout } = await run(command, [...args, JSON.stringify(setting)], {
      cwd: __dirname,
      env: { ...process.env, ...env },
      timeout: CONVERSATION_MS,
    });
    return JSON.parse(stdout);
  };
}
