import { describe, expect, test } from '@jest/globals';
import { livePrincipal, principalOf } from '../../lib/principal';

describe('the user of a connection', () => {
  test.each([1_700_000_000, '1700000000'])(
    'is what the authorizer found out, with the time as %p',
    (tokenExpiresAt) => {
      const context = { principalId: 'alice', integrationLatency: '42', userId: 'alice', tokenExpiresAt };
      expect(principalOf(context)).toEqual({ userId: 'alice', tokenExpiresAt: 1_700_000_000 });
    },
  );

  test.each([undefined, null, 'alice', [], {}, { principalId: 'anonymous' }, { userId: '' }, { userId: 5 }])(
    'is nobody in %j',
    (context) => {
      expect(principalOf(context)).toBeUndefined();
      expect(() => livePrincipal(context, 0)).toThrow(
        expect.objectContaining({ code: 'unauthorized', retryable: false }),
      );
    },
  );

  test('may send until the token expires, and not from that moment on', () => {
    const context = { userId: 'alice', tokenExpiresAt: '1700000000' };
    expect(livePrincipal(context, 1_699_999_999_999).userId).toBe('alice');
    expect(() => livePrincipal(context, 1_700_000_000_000)).toThrow(expect.objectContaining({ code: 'unauthorized' }));
  });

  test.each([undefined, 'soon', {}])(
    'may not send where it cannot be told when the token expires: %p',
    (tokenExpiresAt) => {
      expect(() => livePrincipal({ userId: 'alice', tokenExpiresAt }, 0)).toThrow(
        expect.objectContaining({ code: 'unauthorized' }),
      );
    },
  );
});
