import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chosenProtocol, type Handshake, headerValues, offeredProtocols } from '../../lib/handshake';
import { findToken } from '../../lib/tokens';

const jwt = 'eyJh.eyJz.c2ln';
const other = 'eyJh.eyJz.b3Ro';
const header = (name: string, ...values: string[]): Handshake => ({
  headers: { [name]: values.at(-1) },
  multiValueHeaders: { [name]: values },
});
const protocols = (list: string) => header('Sec-WebSocket-Protocol', list);
const found = { result: 'found', token: jwt };
const none = (reason: string) => ({ result: 'none', reason });

describe('a token is found', () => {
  test.each<[string, Handshake]>([
    ['among the sub-protocols', protocols(`gateway.v1, bearer.${jwt}`)],
    ['among them in any order', protocols(`bearer.${jwt},gateway.v1`)],
    ['in a second header of them', header('Sec-WebSocket-Protocol', 'gateway.v1', `bearer.${jwt}`)],
    ['with the header’s name in any case', { headers: { 'sec-websocket-PROTOCOL': `bearer.${jwt}` } }],
    ['with the header in its multi-value form alone', { multiValueHeaders: { AUTHORIZATION: [`Bearer ${jwt}`] } }],
    ['in Authorization', header('Authorization', `Bearer ${jwt}`)],
    ['in Authorization, with the scheme in any case', header('authorization', `bEaReR   ${jwt}`)],
    ['in the query', { queryStringParameters: { token: jwt } }],
    ['in the query’s multi-value form', { multiValueQueryStringParameters: { token: [jwt] } }],
    [
      'in all places, where it is the same',
      {
        headers: { authorization: `Bearer ${jwt}`, 'sec-websocket-protocol': `bearer.${jwt}` },
        queryStringParameters: { token: jwt },
      },
    ],
    [
      'beside an Authorization of another scheme',
      {
        headers: { authorization: 'Basic YTpi' },
        queryStringParameters: { token: jwt },
      },
    ],
  ])('%s', (_, handshake) => {
    expect(findToken(handshake)).toEqual(found);
  });
});

describe('no token is found', () => {
  test.each<[string, Handshake]>([
    ['nowhere', {}],
    ['where all is null', { headers: null, multiValueHeaders: null, queryStringParameters: null }],
    ['in an Authorization of another scheme', header('Authorization', `Basic ${jwt}`)],
    ['in a scheme that merely begins as Bearer does', header('Authorization', `BearerX ${jwt}`)],
    ['in another sub-protocol', protocols(`gateway.v1, ${jwt}, Bearer.${jwt}`)],
    ['in a query of another name', { queryStringParameters: { Token: jwt, access_token: jwt } }],
  ])('%s: missing', (_, handshake) => {
    expect(findToken(handshake)).toEqual(none('missing'));
  });

  test.each<[string, Handshake]>([
    ['two sub-protocols', protocols(`bearer.${jwt}, bearer.${other}`)],
    ['the same sub-protocol twice', protocols(`bearer.${jwt}, bearer.${jwt}`)],
    [
      'a sub-protocol and Authorization',
      {
        headers: { 'sec-websocket-protocol': `bearer.${jwt}`, authorization: `Bearer ${other}` },
      },
    ],
    [
      'Authorization and the query',
      {
        headers: { authorization: `Bearer ${jwt}` },
        queryStringParameters: { token: other },
      },
    ],
    ['Authorization twice', header('Authorization', `Bearer ${jwt}`, `Bearer ${other}`)],
    [
      'the query twice',
      {
        queryStringParameters: { token: other },
        multiValueQueryStringParameters: { token: [jwt, other] },
      },
    ],
  ])('in %s: several', (_, handshake) => {
    expect(findToken(handshake)).toEqual(none('several'));
  });

  test.each<[string, Handshake]>([
    ['an empty one among the sub-protocols', protocols('gateway.v1, bearer.')],
    ['an empty one in Authorization', header('Authorization', 'Bearer')],
    ['an empty one in the query', { queryStringParameters: { token: '' } }],
    ['one of two parts', header('Authorization', 'Bearer eyJh.eyJz')],
    ['one of five parts, which is encrypted', header('Authorization', 'Bearer a.b.c.d.e')],
    ['one without a signature', header('Authorization', 'Bearer eyJh.eyJz.')],
    ['one with a space inside', header('Authorization', `Bearer ${jwt} ${jwt}`)],
    ['one with another character', { queryStringParameters: { token: `${jwt}%` } }],
    ['one that is too long', header('Authorization', `Bearer ${jwt}${'x'.repeat(8192)}`)],
    ['a list with an empty item', protocols(`gateway.v1,,bearer.${jwt}`)],
    ['an empty list', protocols('')],
    ['a list with a space in an item', protocols(`gate way, bearer.${jwt}`)],
    ['a list of too many items', protocols(`bearer.${jwt},${Array(20).fill('a').join()}`)],
    ['a list that is too long', protocols(`bearer.${jwt},${'a'.repeat(10_240)}`)],
  ])('in %s: malformed', (_, handshake) => {
    expect(findToken(handshake)).toEqual(none('malformed'));
  });
});

test('whatever a client sends as sub-protocols, a token is what stands alone behind bearer., and it is never echoed', () => {
  const item = fc.oneof(
    fc.constantFrom(
      'gateway.v1',
      `bearer.${jwt}`,
      `bearer.${other}`,
      'bearer.',
      'bearer',
      '',
      ' ',
      '\0',
      '"a"',
      'é',
      'a b',
    ),
    fc.string({ maxLength: 12 }),
    fc.base64String().map((text) => `bearer.${text}`),
  );
  const separator = fc.constantFrom(',', ', ', ' ,', ';', '\t,\t');
  const list = fc
    .array(fc.tuple(item, separator), { maxLength: 24 })
    .map((parts) => parts.flat().slice(0, -1).join(''));
  const seen = new Set<string>();
  fc.assert(
    fc.property(list, (text) => {
      const handshake = protocols(text);
      const result = findToken(handshake);
      seen.add(result.result === 'found' ? 'found' : result.reason);
      const bearers = text.split(',').flatMap((part) => /^bearer\.(.*)$/s.exec(part.trim())?.[1] ?? []);
      if (result.result === 'found') expect(bearers).toEqual([result.token]);
      const echoed = chosenProtocol(offeredProtocols(handshake));
      expect([undefined, 'gateway.v1']).toContain(echoed);
      if (echoed !== undefined) expect(text).toContain(echoed);
    }),
    { numRuns: 3000 },
  );
  expect([...seen].sort()).toEqual(['found', 'malformed', 'missing', 'several']);
});

test('a header’s values are all of them, once each, whatever the case of its name', () => {
  const handshake = {
    headers: { Origin: 'b' },
    multiValueHeaders: { Origin: ['a', 'b'], origin: ['c'], other: ['d'] },
  };
  expect(headerValues(handshake, 'origin').sort()).toEqual(['a', 'b', 'c']);
});
