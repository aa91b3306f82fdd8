import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { type Issuer, startIssuer } from '../helpers/issuer';
import { type Stack, startStack } from '../helpers/stack';

/** Who may connect to the local stack, as whom, and for how long: the functions as they are, under serverless-offline. */

const origin = 'https://app.example';
const { env, apiQueue } = queueNames();

describe('a gateway that asks for tokens', () => {
  let issuer: Issuer;
  let stack: Stack;
  let service: TestChannel;
  const tokens: string[] = [];

  const token = async (claims: Record<string, unknown> = {}) => {
    const made = await issuer.token(claims);
    tokens.push(made);
    return made;
  };
  const connect = (protocols: string[] = [], headers: Record<string, string> = {}, query = '') =>
    Client.open(`${stack.webSocketUrl}${query}`, protocols, { headers });

  beforeAll(async () => {
    issuer = await startIssuer();
    stack = await startStack({
      ...env,
      EXAMPLE_WORKER: 'false',
      LOG_LEVEL: 'DEBUG',
      AUTH: 'jwt',
      JWT_ISSUER: issuer.issuer,
      JWT_AUDIENCE: issuer.audience,
      JWT_JWKS_URL: issuer.jwksUrl,
      ALLOWED_ORIGINS: `${origin},http://localhost:8080`,
    });
    service = await openChannel(stack.amqpUrl);
  }, 90_000);

  afterAll(async () => {
    await service?.close();
    await stack?.stop();
    await issuer?.close();
  }, 30_000);

  /** What the service is told about the sender of a message. */
  const metadataOf = async (client: Client) => {
    client.send({ action: 'send', id: '1', data: { prompt: 'hi', metadata: { user_id: 'mallory' } } });
    expect(await client.next()).toMatchObject({ event: 'ack', id: '1' });
    const message = await service.channel.get(apiQueue, { noAck: true });
    return message && JSON.parse(String(message.content)).data.metadata;
  };

  test.each<[string, (token: string) => Promise<Client>]>([
    ['the sub-protocols', (token) => connect(['gateway.v1', `bearer.${token}`], { origin })],
    ['Authorization', (token) => connect([], { authorization: `Bearer ${token}` })],
    ['the query', (token) => connect([], {}, `?token=${token}`)],
  ])('lets a client in by a token in %s, and tells the service who it is', async (_, open) => {
    const client = await open(await token({ sub: 'alice' }));
    expect(await metadataOf(client)).toMatchObject({ client_id: '1', user_id: 'alice' });
    await client.close();
  });

  test('tells the users of many connections apart', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `user-${n}`);
    const clients = await Promise.all(
      names.map(async (sub) => connect(['gateway.v1', `bearer.${await token({ sub })}`])),
    );
    for (const [n, client] of clients.entries()) {
      expect(await metadataOf(client)).toMatchObject({ user_id: names[n] });
    }
    await Promise.all(clients.map((client) => client.close()));
  });

  test('echoes its own sub-protocol, wherever it stands in the list, and never a token', async () => {
    const jwt = await token();
    const client = await connect([`bearer.${jwt}`, 'gateway.v1']);
    expect(client.socket.protocol).toBe('gateway.v1');
    await client.close();
    // A client of ws takes it for an error that none of its sub-protocols is spoken.
    await expect(connect([`bearer.${jwt}`])).rejects.toThrow('Server sent no subprotocol');
  });

  test('answers 401 where there is no token, a wrong one or more than one', async () => {
    const [expired, foreign, good, another] = await Promise.all([
      token({ exp: 1_700_000_000 }),
      token({ aud: 'other' }),
      token(),
      token({ sub: 'bob' }),
    ]);
    const refused: [string[], string?][] = [
      [[]],
      [['gateway.v1']],
      [['gateway.v1', `bearer.${expired}`]],
      [['gateway.v1', `bearer.${foreign}`]],
      [['gateway.v1', `bearer.${good.slice(0, -4)}`]],
      [['gateway.v1', `bearer.${good}`, `bearer.${another}`]],
      [['gateway.v1', `bearer.${good}`], `?token=${another}`],
    ];
    for (const [protocols, query] of refused) {
      await expect(connect(protocols, {}, query)).rejects.toThrow('Unexpected server response: 401');
    }
  });

  test('answers 403 to a page of another origin, whatever its token', async () => {
    const protocols = ['gateway.v1', `bearer.${await token()}`];
    const response = connect(protocols, { origin: 'https://evil.example' });
    await expect(response).rejects.toThrow('Unexpected server response: 403');
  });

  test('answers the next message after the token’s end with an error, and closes', async () => {
    // The clocks may differ by half a minute.
    const exp = Math.floor(Date.now() / 1000) - 30 + 20;
    const client = await connect([], {}, `?token=${await token({ exp })}`);
    expect(await metadataOf(client)).toMatchObject({ user_id: 'alice' });
    // A timer may fire a millisecond early.
    await sleep((exp + 30) * 1000 - Date.now() + 10);
    client.send({ action: 'send', id: '2', data: {} });
    const frame = await client.next();
    expect(frame).toEqual({
      event: 'error',
      id: '2',
      code: 'unauthorized',
      message: 'The token has expired; connect again with a new one.',
      retryable: false,
    });
    await client.closed;
    expect(client.frames.at(-1)).toEqual(frame);
  }, 60_000);

  test('answers 500 where the keys cannot be had: the token may be right', async () => {
    issuer.answer({ status: 503, body: '' });
    const fresh = await startStack({
      ...queueNames().env,
      AUTH: 'jwt',
      JWT_ISSUER: issuer.issuer,
      JWT_AUDIENCE: issuer.audience,
      JWT_JWKS_URL: issuer.jwksUrl,
    });
    const opening = Client.open(`${fresh.webSocketUrl}?token=${await token()}`);
    await expect(opening).rejects.toThrow('Unexpected server response: 500');
    issuer.answer('work');
    const again = async (): Promise<Client> =>
      Client.open(`${fresh.webSocketUrl}?token=${await token()}`).catch((error: Error) => {
        // For a moment longer, during which nobody asks for the keys.
        if (error.message !== 'Unexpected server response: 500') throw error;
        return again();
      });
    const client = await again();
    await client.close();
    await fresh.stop();
  }, 90_000);

  test('has logged all of it, and nothing of a token', () => {
    for (const reason of ['missing', 'several', 'expired', 'wrong_audience', 'wrong_signature', 'origin']) {
      expect(stack.output()).toContain(`"reason":"${reason}"`);
      if (reason !== 'origin') expect(stack.output()).toContain(`Refused a client: ${reason}\n`);
    }
    expect(stack.output()).not.toContain('Unhandled exception');
    expect(tokens.length).toBeGreaterThan(15);
    for (const part of tokens.flatMap((each) => each.split('.'))) expect(stack.output()).not.toContain(part);
  });
});

test('the stack does not start with an origin or a secret that would keep everybody out', async () => {
  const wrong = { ALLOWED_ORIGINS: 'https://app.example/', AUTH: 'jwt', JWT_SECRET: 'hunter2' };
  await expect(startStack({ ...wrong, JWT_ISSUER: 'issuer', JWT_AUDIENCE: 'gateway' })).rejects.toThrow(
    /^(?!.*hunter2).*ended with 1:.*ALLOWED_ORIGINS is not valid; .*JWT_SECRET is not valid; /s,
  );
}, 90_000);

test('a gateway that asks for no tokens has no users, and origins all the same', async () => {
  const names = queueNames();
  const stack = await startStack({ ...names.env, EXAMPLE_WORKER: 'false', ALLOWED_ORIGINS: origin });
  const service = await openChannel(stack.amqpUrl);
  const opening = Client.open(stack.webSocketUrl, [], { origin: 'https://evil.example' });
  await expect(opening).rejects.toThrow('Unexpected server response: 403');
  const client = await Client.open(stack.webSocketUrl, [], { origin });
  client.send({ action: 'send', data: {} });
  expect(await client.next()).toMatchObject({ event: 'ack' });
  const message = await service.channel.get(names.apiQueue, { noAck: true });
  expect(message && JSON.parse(String(message.content)).data.metadata).not.toHaveProperty('user_id');
  await client.close();
  await service.close();
  await stack.stop();
}, 90_000);
