import { GatewayError } from './errors';
import { isObject } from './json';

/**
 * Who a connection belongs to, and until when. The authorizer finds it in the token once, when the client connects; API
 * Gateway hands it to each later event of the connection, with numbers as texts.
 */

export interface Principal {
  /** The token's subject: 1-255 printable ASCII characters. */
  userId: string;
  /** When the token is no longer accepted, seconds since 1970. */
  tokenExpiresAt: number;
}

/** @param context `requestContext.authorizer` of an event; undefined where no token was asked for. */
export function principalOf(context: unknown): Principal | undefined {
  if (!isObject(context) || typeof context.userId !== 'string' || context.userId === '') return undefined;
  return { userId: context.userId, tokenExpiresAt: Number(context.tokenExpiresAt) };
}

/** The same, or GatewayError `unauthorized` where there is none or its token has expired at `now` (ms since 1970). */
export function livePrincipal(context: unknown, now: number): Principal {
  const principal = principalOf(context);
  if (principal === undefined) throw new GatewayError('unauthorized', 'Connect again, with a token.');
  // Written as "not later" so that an unreadable time counts as past.
  if (principal.tokenExpiresAt * 1000 > now) return principal;
  throw new GatewayError('unauthorized', 'The token has expired; connect again with a new one.');
}
