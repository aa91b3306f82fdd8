import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { encodeMethod } from '../../infra/local/broker/codec';
import { frame } from '../../infra/local/broker/framing';
import { type Login, method } from '../helpers/amqp-frames';
import { bareClient } from '../helpers/bare-client';

/** How a connection to the embedded broker begins and ends, in what no client library shows. */

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ port: 0, users: { guest: 'guest', me: 'se:cret' }, virtualHosts: ['/', 'orders'] });
});

afterAll(() => broker.close());

const CLOSE = { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 };
const shortstr = (text: string) => String.fromCharCode(text.length) + text;
const longField = (name: string, value: string) => `${shortstr(name)}S\0\0\0${shortstr(value)}`;

async function client(login?: Login) {
  const bare = await bareClient(broker.port);
  if (login !== undefined) bare.login(login);
  return bare;
}

describe('logging in', () => {
  test.each<[string, Login]>([
    ['PLAIN', { response: '\0me\0se:cret' }],
    ['AMQPLAIN', { mechanism: 'AMQPLAIN', response: longField('PASSWORD', 'se:cret') + longField('LOGIN', 'me') }],
    ['another virtual host', { virtualHost: 'orders' }],
  ])('%s is accepted', async (_, login) => {
    const bare = await client(login);
    await bare.received('connection.open-ok');
    bare.destroy();
  });

  test.each<[string, Login]>([
    ['a wrong password', { response: '\0me\0wrong' }],
    ['an unknown user', { response: '\0nobody\0guest' }],
    ['a name of every object', { response: '\0constructor\0guest' }],
  ])('%s is told to a client that can hear it', async (_, login) => {
    const bare = await client({ ...login, capabilities: ['authentication_failure_close'] });
    await bare.received('connection.close');
    expect(bare.methods().at(-1)?.args).toEqual({
      replyCode: 403,
      replyText:
        'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
      classId: 0,
      methodId: 0,
    });
    bare.destroy();
  });

  test('whoever is not understood, or does not understand, is left in silence for a while and then reset', async () => {
    const logins: Record<string, Login> = {
      'a wrong password of a client that cannot hear of it': { response: '\0guest\0wrong' },
      'a user who acts for another': { response: 'me\0guest\0guest' },
      'an unknown mechanism': { mechanism: 'EXTERNAL' },
      'no limit of channels': { channelMax: 0 },
      'more channels than proposed': { channelMax: 2048 },
    };
    const seen = Object.values(logins).map(async (login) => {
      const bare = await client(login);
      const end = await bare.ended;
      return [end, bare.methods().filter(({ name }) => !['connection.start', 'connection.tune'].includes(name))];
    });
    expect(await Promise.all(seen)).toEqual(Object.keys(logins).map(() => ['reset', []]));
  });

  test('what stands in one virtual host is not there in another', async () => {
    const declare = { ticket: 0, queue: 'here', durable: false, exclusive: false, autoDelete: false, nowait: false };
    const declared = (passive: boolean) => method(1, 'queue.declare', { ...declare, passive });
    const [here, there] = await Promise.all([client({}), client({ virtualHost: 'orders' })]);
    here.send(method(1, 'channel.open'), declared(false));
    await here.received('queue.declare-ok');
    there.send(method(1, 'channel.open'), declared(true));
    await there.received('channel.close');
    expect(there.methods().at(-1)?.args).toMatchObject({ replyText: "NOT_FOUND - no queue 'here' in vhost 'orders'" });
    here.destroy();
    there.destroy();
  });
});

describe('what comes at the wrong time', () => {
  test('a method of the connection out of turn is 504', async () => {
    const bare = await client({});
    bare.send(method(0, 'connection.close-ok', {}));
    expect(await bare.closeReason()).toMatchObject({
      replyText: 'CHANNEL_ERROR - unexpected method in connection state running',
    });
  });

  test('a close-ok of a channel that is not open is 504', async () => {
    const bare = await client({});
    bare.send(method(3, 'channel.close-ok', {}));
    expect(await bare.closeReason()).toMatchObject({ replyText: "CHANNEL_ERROR - expected 'channel.open'" });
  });

  test('content on channel 0 is 505', async () => {
    const bare = await client({});
    bare.send(frame(3, 0, Buffer.from('body')));
    expect(await bare.closeReason()).toMatchObject({
      replyText: 'UNEXPECTED_FRAME - type 3, all octets = <<"body">>',
    });
  });

  test('a method of the connection that cannot be read is 541', async () => {
    const bare = await client({});
    bare.send(frame(1, 0, encodeMethod('connection.close', CLOSE).subarray(0, 6)));
    expect(await bare.closeReason()).toMatchObject({ replyCode: 541, replyText: 'INTERNAL_ERROR' });
  });

  test('after a frame without its end nothing is read, not even the goodbye', async () => {
    const bare = await client({});
    const broken = method(1, 'channel.open');
    broken[broken.length - 1] = 1;
    bare.send(broken);
    await bare.received('connection.close');
    bare.send(method(0, 'connection.close', CLOSE));
    expect(await bare.ended).toBe('reset');
    expect(bare.methods().filter(({ name }) => name === 'connection.close-ok')).toEqual([]);
  });
});

describe('the end', () => {
  test('a client that hangs up is answered by a reset', async () => {
    const bare = await client({});
    await bare.received('connection.open-ok');
    bare.hangUp();
    expect(await bare.ended).toBe('reset');
  });

  test('a new secret is accepted', async () => {
    const bare = await client({});
    bare.send(method(0, 'connection.update-secret', { newSecret: Buffer.from('any'), reason: 'rotation' }));
    await bare.received('connection.update-secret-ok');
    bare.destroy();
  });
});
