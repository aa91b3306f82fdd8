import { describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig } from '../../lib/config';

function fault(env: Record<string, string>): string {
  try {
    readConfig(['AMQP_URL', 'AMQP_SECRET_ARN', 'TABLE_NAME', 'WS_QUEUE', 'REQUEST_STYLE', 'MANAGEMENT_ENDPOINT'], {
      AMQP_URL: 'amqp://localhost',
      TABLE_NAME: 'table',
      MANAGEMENT_ENDPOINT: 'https://api.example/stage',
      ...env,
    });
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
}

describe('the configuration', () => {
  test('has defaults for the queues and the style, also for empty variables', () => {
    expect(readConfig(['API_QUEUE', 'WS_QUEUE', 'REQUEST_STYLE'], { WS_QUEUE: '' })).toEqual({
      API_QUEUE: 'api_queue',
      WS_QUEUE: 'ws_queue',
      REQUEST_STYLE: 'event',
    });
  });

  test('asks only for the variables of the function', () => {
    expect(readConfig(['TABLE_NAME'], { TABLE_NAME: 'connections' })).toEqual({ TABLE_NAME: 'connections' });
  });

  test.each([
    [{ AMQP_URL: 'http://localhost' }, /^Configuration: AMQP_URL is not valid; it should be amqps:\/\//],
    [{ AMQP_URL: '' }, /AMQP_URL is not set; it should be/],
    [{ AMQP_URL: 'amqp://user:100%@localhost' }, /AMQP_URL is not valid/],
    [{ AMQP_SECRET_ARN: 'my-secret' }, /AMQP_SECRET_ARN is not valid; it should be the ARN of a secret/],
    [{ TABLE_NAME: 'a b' }, /TABLE_NAME is not valid/],
    [{ WS_QUEUE: 'amq.mine' }, /WS_QUEUE is not valid/],
    [{ REQUEST_STYLE: 'RPC' }, /REQUEST_STYLE is not valid; it should be event or rpc/],
    [{ MANAGEMENT_ENDPOINT: 'localhost:3001' }, /MANAGEMENT_ENDPOINT is not valid/],
  ])('names the variable at fault and what it should look like: %o', (env, message) => {
    expect(fault(env)).toMatch(message);
  });

  test('takes the credentials of the broker from one place', () => {
    const names = ['AMQP_URL', 'AMQP_SECRET_ARN'] as const;
    const AMQP_SECRET_ARN = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:broker-a1b2c3';
    const alone = { AMQP_URL: 'amqps://host:5671/vhost', AMQP_SECRET_ARN };
    expect(readConfig(names, alone)).toEqual(alone);
    expect(readConfig(names, { AMQP_URL: 'amqp://u:p@host', AMQP_SECRET_ARN: '' }).AMQP_SECRET_ARN).toBeUndefined();
    for (const AMQP_URL of ['amqp://u:p@host', 'amqp://u@host', 'amqp://:p@host']) {
      expect(() => readConfig(names, { AMQP_URL, AMQP_SECRET_ARN })).toThrow(/no username and password/);
    }
  });

  test('refuses one queue for requests and replies', () => {
    for (const API_QUEUE of ['q', 'q.dead']) {
      expect(() => readConfig(['API_QUEUE', 'WS_QUEUE'], { API_QUEUE, WS_QUEUE: 'q' })).toThrow(/different queues/);
    }
  });

  test('names all variables at fault at once', () => {
    expect(fault({ TABLE_NAME: '', AMQP_URL: '' })).toMatch(/AMQP_URL.*TABLE_NAME/);
  });

  test('never repeats a value, for it may hold a password', () => {
    expect(fault({ AMQP_URL: 'ftp://user:secret@host' })).not.toContain('secret');
  });
});
