import { describe, expect, test } from '@jest/globals';
import { credentialsFromEnv } from '../../lib/aws-env';

describe('the credentials of a function', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'hunter2' };

  test('are those of its environment, with the token of its role where there is one', () => {
    expect(credentialsFromEnv(keys)).toEqual({ accessKeyId: 'id', secretAccessKey: 'hunter2' });
    expect(credentialsFromEnv({ ...keys, AWS_SESSION_TOKEN: '' })).toEqual({
      accessKeyId: 'id',
      secretAccessKey: 'hunter2',
    });
    expect(credentialsFromEnv({ ...keys, AWS_SESSION_TOKEN: 't' })).toMatchObject({ sessionToken: 't' });
  });

  test.each(Object.keys(keys))('are told to be missing without %s, but not what the other is', (name) => {
    const read = () => credentialsFromEnv({ ...keys, [name]: '' });
    expect(read).toThrow(/^Configuration: .*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set/);
    expect(read).not.toThrow(/hunter2/);
  });
});
