import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createLog, type LogLevel } from '../../lib/log';

let written: string[] = [];
let streams: string[] = [];
const env = { ...process.env };
const original = { stdout: process.stdout.write, stderr: process.stderr.write };

// The logger writes to the streams themselves, past any console.
beforeEach(() => {
  written = [];
  streams = [];
  const write = (stream: string) => (text: string) => streams.push(stream) > 0 && written.push(text) > 0;
  process.stdout.write = write('stdout');
  process.stderr.write = write('stderr');
  delete process.env.AWS_LAMBDA_LOG_LEVEL;
});

afterEach(() => {
  process.stdout.write = original.stdout;
  process.stderr.write = original.stderr;
  process.env = { ...env };
});

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR'] as const;

/** The levels of the lines that a log writes when it is given one of each. */
function levelsWritten(level?: LogLevel): string[] {
  const log = createLog('send', level);
  for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]('m');
  return written.splice(0).map((line) => JSON.parse(line).level);
}

describe('the level of a log', () => {
  test.each(levels)('%s writes its own lines and those above, and without one it is INFO', (level) => {
    expect(levelsWritten(level)).toEqual(levels.slice(levels.indexOf(level)));
    expect(levelsWritten()).toEqual(['INFO', 'WARN', 'ERROR']);
  });

  test('is that of Lambda’s log controls where a function has them', () => {
    process.env.AWS_LAMBDA_LOG_LEVEL = 'ERROR';
    expect(levelsWritten('DEBUG')).toEqual(['ERROR']);
    process.env.AWS_LAMBDA_LOG_LEVEL = 'TRACE';
    expect(levelsWritten('ERROR')).toEqual(levels);
    process.env.AWS_LAMBDA_LOG_LEVEL = 'FATAL';
    expect(levelsWritten('DEBUG')).toEqual([]);
  });
});

describe('a log line', () => {
  test('is written at once, with its end, on the stream of its level', () => {
    process.env._X_AMZN_TRACE_ID = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1';
    const log = createLog('send');
    log.info('1');
    log.warn('2');
    expect(streams).toEqual(['stdout', 'stderr']);
    expect(written.map((line) => line.split('\n').length)).toEqual([2, 2]);
    const { timestamp, ...rest } = JSON.parse(written[0] as string);
    expect(rest).toEqual({
      level: 'INFO',
      message: '1',
      service: 'ws-gateway.send',
      xray_trace_id: '1-5759e988-bd862e3fe1be46a994272793',
    });
    expect(timestamp).toBe(new Date(timestamp).toISOString());
  });

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
