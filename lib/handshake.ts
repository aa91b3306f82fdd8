/**
 * What a client says when it opens a WebSocket, as API Gateway hands it to `$connect` and its authorizer. Header names
 * come in any case, and a header that was sent twice has all its values only in the multi-value form.
 */

export interface Handshake {
  headers?: Record<string, string | undefined> | null;
  multiValueHeaders?: Record<string, string[] | undefined> | null;
  queryStringParameters?: Record<string, string | undefined> | null;
  multiValueQueryStringParameters?: Record<string, string[] | undefined> | null;
}

/** The one sub-protocol that the gateway speaks; a client need not offer any. */
export const subProtocol = 'gateway.v1';

/** API Gateway itself takes 10,240 bytes of headers. */
const maxListChars = 10_240;
const maxProtocols = 20;

/** The different values of a header, in no certain order. */
export function headerValues({ headers, multiValueHeaders }: Handshake, name: string): string[] {
  const isNamed = ([key]: [string, unknown]) => key.toLowerCase() === name;
  const single = Object.entries(headers ?? {}).filter(isNamed);
  const multiple = Object.entries(multiValueHeaders ?? {}).filter(isNamed);
  const values = [...multiple.flatMap(([, all]) => all), ...single.map(([, value]) => value)];
  return [...new Set(values.filter((value) => value !== undefined))];
}

/** The sub-protocols that the client offers, or undefined for a list that is none (RFC 6455, 4.1). */
export function offeredProtocols(handshake: Handshake): string[] | undefined {
  const lists = headerValues(handshake, 'sec-websocket-protocol');
  if (lists.length === 0) return [];
  const list = lists.join(',');
  if (list.length > maxListChars) return undefined;
  const protocols = list.split(',').map((item) => item.trim());
  const isList = protocols.length <= maxProtocols && protocols.every((item) => /^[\w!#$%&'*+.^`|~-]+$/.test(item));
  return isList ? protocols : undefined;
}

/** What to answer to them: the gateway's own where it was offered, and never one that carries a token. */
export function chosenProtocol(offered: Iterable<string> = []): typeof subProtocol | undefined {
  return [...offered].includes(subProtocol) ? subProtocol : undefined;
}
