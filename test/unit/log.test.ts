import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLog } from '../../lib/log';

let written: string[] = [];
const original = { stdout: process.stdout.write, stderr: process.stderr.write };

// The logger writes to the streams themselves, past any console.
beforeEach(() => {
  written = [];
  const write = (text: string) => written.push(text) > 0;
  process.stdout.write = write;
  process.stderr.write = write;
});

afterEach(() => {
  process.stdout.write = original.stdout;
  process.stderr.write = original.stderr;
});

describe('a log line', () => {
  test('is JSON with the function and the given fields', () => {
    createLog('send').info('Refused a message', { connectionId: 'c', code: 'bad_frame' });
    expect(JSON.parse(written[0] as string)).toMatchObject({
      level: 'INFO',
      message: 'Refused a message',
      service: 'ws-gateway.send',
      connectionId: 'c',
      code: 'bad_frame',
    });
  });

  test('tells an error and its causes, but no password of a URL and nothing an SDK hung on it', () => {
    const cause = new Error('connect amqps://user:secret@broker:5671 failed');
    const error = Object.assign(new Error('failed', { cause }), {
      $response: { headers: { authorization: 'token' } },
    });
    createLog('send').error('Failed', { error });
    expect(written[0]).toContain('amqps://***@broker:5671');
    expect(written[0]).not.toMatch(/secret|token/);
  });
});
