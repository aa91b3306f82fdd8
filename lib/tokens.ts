import { type Handshake, headerValues, offeredProtocols } from './handshake';

/**
 * Where a client may put its token: among the sub-protocols as `bearer.<token>` (a browser's only way to keep it out of
 * the URL), in `Authorization: Bearer <token>`, or in `?token=`. It is looked for in all of them, and bounded, before
 * anything reads it. Several different ones are refused: which of them counts is nothing to guess.
 */

export type FoundToken =
  | { result: 'found'; token: string }
  | { result: 'none'; reason: 'missing' | 'malformed' | 'several' };

/** A token with all its claims has one or two thousand. */
const maxTokenChars = 8192;

export function findToken(handshake: Handshake): FoundToken {
  const offered = offeredProtocols(handshake);
  if (offered === undefined) return { result: 'none', reason: 'malformed' };
  const bearers = offered.filter((protocol) => protocol.startsWith('bearer.')).map((protocol) => protocol.slice(7));
  const [token, ...others] = new Set([...bearers, ...authorizations(handshake), ...queried(handshake)]);
  if (token === undefined) return { result: 'none', reason: 'missing' };
  if (others.length > 0 || bearers.length > 1) return { result: 'none', reason: 'several' };
  return isJwt(token) ? { result: 'found', token } : { result: 'none', reason: 'malformed' };
}

/** Another scheme, such as a browser's Basic of a URL with a password, is no token. */
function authorizations(handshake: Handshake): string[] {
  return headerValues(handshake, 'authorization').flatMap((value) =>
    /^bearer\b/i.test(value) ? [value.slice('bearer'.length).trim()] : [],
  );
}

function queried({ queryStringParameters, multiValueQueryStringParameters }: Handshake): string[] {
  const values = [queryStringParameters?.token, ...(multiValueQueryStringParameters?.token ?? [])];
  return values.filter((value) => value !== undefined);
}

/** Three parts in base64url, as RFC 7515 writes a signed token. */
function isJwt(text: string): boolean {
  return text.length <= maxTokenChars && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}
