import { describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig } from '../../lib/config';

function fault(env: Record<string, string>): string {
  try {
    const names = [
      'AMQP_URL',
      'AMQP_SECRET_ARN',
      'TABLE_NAME',
      'SESSION_TABLE_NAME',
      'WS_QUEUE',
      'REQUEST_STYLE',
    ] as const;
    readConfig([...names, 'MANAGEMENT_ENDPOINT'], {
      AMQP_URL: 'amqp://localhost',
      TABLE_NAME: 'table',
      SESSION_TABLE_NAME: 'sessions',
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
    [{ SESSION_TABLE_NAME: 'a/b' }, /SESSION_TABLE_NAME is not valid; it should be the name of a DynamoDB table/],
    [{ WS_QUEUE: 'amq.mine' }, /WS_QUEUE is not valid/],
    [{ REQUEST_STYLE: 'RPC' }, /REQUEST_STYLE is not valid; it should be event or rpc/],
    [{ MANAGEMENT_ENDPOINT: 'localhost:3001' }, /MANAGEMENT_ENDPOINT is not valid/],
  ])('names the variable at fault and what it should look like: %o', (env, message) => {
    expect(fault(env)).toMatch(message);
  });

  test('cuts connections on a laptop as API Gateway does, or sooner', () => {
    const names = ['CONNECTION_SECONDS', 'IDLE_SECONDS'] as const;
    expect(readConfig(names, {})).toEqual({ CONNECTION_SECONDS: 7200, IDLE_SECONDS: 600 });
    expect(readConfig(names, { CONNECTION_SECONDS: '5', IDLE_SECONDS: '1' })).toEqual({
      CONNECTION_SECONDS: 5,
      IDLE_SECONDS: 1,
    });
    for (const text of ['0', '-1', '7201', '1.5', '5s', 'never']) {
      const message = /CONNECTION_SECONDS is not valid; it should be a number of seconds, 1 to 7200/;
      expect(() => readConfig(names, { CONNECTION_SECONDS: text })).toThrow(message);
    }
    expect(() => readConfig(names, { IDLE_SECONDS: '601' })).toThrow(/IDLE_SECONDS is not valid.* 1 to 600/);
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

  test('counts the shards of replies from 1 to 32, and has one unless told', () => {
    const shards = (REPLY_SHARDS: string) => readConfig(['REPLY_SHARDS'], { REPLY_SHARDS }).REPLY_SHARDS;
    expect([shards(''), shards('1'), shards('32')]).toEqual([1, 1, 32]);
    for (const wrong of ['0', '33', '04', '1.5', '-1', 'four', '999999999']) {
      expect(() => shards(wrong)).toThrow(/REPLY_SHARDS is not valid; it should be the number of queues .* 1 to 32/);
    }
  });

  test('refuses a queue of requests that is a shard of the replies, and only of those there are', () => {
    const names = ['API_QUEUE', 'WS_QUEUE', 'REPLY_SHARDS'] as const;
    const env = { API_QUEUE: 'q.3', WS_QUEUE: 'q' };
    expect(() => readConfig(names, { ...env, REPLY_SHARDS: '4' })).toThrow(/different queues/);
    expect(readConfig(names, { ...env, REPLY_SHARDS: '3' })).toMatchObject(env);
  });

  test('takes the keys of tokens from exactly one place', () => {
    const names = ['JWT_JWKS_URL', 'JWT_SECRET_ARN', 'JWT_SECRET'] as const;
    const keys = {
      JWT_JWKS_URL: 'https://issuer.example/jwks.json',
      JWT_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:tokens-a1b2c3',
      JWT_SECRET: 's'.repeat(32),
    };
    for (const name of names) {
      expect(readConfig(names, { [name]: keys[name] })).toMatchObject({ [name]: keys[name] });
    }
    for (const wrong of [{}, keys, { ...keys, JWT_SECRET: '' }]) {
      expect(() => readConfig(names, wrong)).toThrow(/exactly one of JWT_JWKS_URL, JWT_SECRET_ARN, JWT_SECRET/);
    }
  });

  test('refuses a secret of tokens that can be guessed, and does not tell it', () => {
    expect(() => readConfig(['JWT_SECRET'], { JWT_SECRET: 'hunter2'.repeat(4) })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^(?!.*hunter2).*at least 32 bytes/) }),
    );
    expect(readConfig(['JWT_SECRET'], { JWT_SECRET: 'ü'.repeat(16) }).JWT_SECRET).toHaveLength(16);
  });

  test.each([
    'http://issuer.example/jwks',
    'http://localhost.issuer.example/',
    'http://127.0.0.1.nip.io/',
    'http://127.0.0.1:80@issuer.example/',
    'no URL',
    'file:///jwks',
    'https://user:hunter2@issuer.example/jwks',
    'https://user@issuer.example/jwks',
    'http://127.0.0.1:8080@localhost/jwks',
  ])('fetches no keys that somebody on the way could change, nor with a password: %s', (JWT_JWKS_URL) => {
    expect(() => readConfig(['JWT_JWKS_URL'], { JWT_JWKS_URL })).toThrow(/JWT_JWKS_URL is not valid/);
  });

  test.each(['http://localhost:8080/jwks', 'http://127.0.0.1:8080/jwks', 'http://[::1]:8080/jwks'])(
    'fetches keys of this machine without TLS: %s',
    (JWT_JWKS_URL) => {
      expect(readConfig(['JWT_JWKS_URL'], { JWT_JWKS_URL })).toEqual({ JWT_JWKS_URL });
    },
  );

  test('reads origins as browsers send them, and takes no others', () => {
    const origins = (ALLOWED_ORIGINS: string) => readConfig(['ALLOWED_ORIGINS'], { ALLOWED_ORIGINS }).ALLOWED_ORIGINS;
    expect(origins('')).toEqual([]);
    const listed = [
      'https://app.example',
      'http://localhost:8080',
      'chrome-extension://abcdef',
      'capacitor://localhost',
    ];
    expect(origins(` ${listed.join(' , ')},`)).toEqual(listed);
    for (const wrong of [
      'https://app.example/',
      'https://app.example:443',
      'https://APP.example',
      'app.example',
      'https://*.app.example',
      '*',
      'null',
    ]) {
      expect(() => origins(`https://app.example,${wrong}`)).toThrow(
        /ALLOWED_ORIGINS is not valid; it should be origins/,
      );
    }
    // They would let in pages from anywhere.
    for (const none of [',', ' ', ' , ,']) {
      expect(() => origins(none)).toThrow(/ALLOWED_ORIGINS is not valid; it should be origins/);
    }
  });

  test('asks for tokens only where it is told to, and for how the clocks may differ in seconds', () => {
    expect(readConfig(['AUTH', 'JWT_CLOCK_SKEW_SECONDS'], {})).toEqual({ AUTH: 'none', JWT_CLOCK_SKEW_SECONDS: 30 });
    expect(readConfig(['JWT_CLOCK_SKEW_SECONDS'], { JWT_CLOCK_SKEW_SECONDS: '0' })).toEqual({
      JWT_CLOCK_SKEW_SECONDS: 0,
    });
    expect(() => readConfig(['AUTH', 'JWT_CLOCK_SKEW_SECONDS'], { AUTH: 'JWT', JWT_CLOCK_SKEW_SECONDS: '-5' })).toThrow(
      /AUTH is not valid; it should be none or jwt.*JWT_CLOCK_SKEW_SECONDS is not valid/,
    );
    for (const name of ['JWT_ISSUER', 'JWT_AUDIENCE'] as const) {
      expect(() => readConfig([name], { [name]: '' })).toThrow(`${name} is not set`);
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
