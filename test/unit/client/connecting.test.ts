import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { connect } from '../../../lib/client';
import { openGateway } from '../../../lib/client/gateway';
import { timing } from '../../../lib/client/timing';
import type { WebSocketLike } from '../../../lib/client/types';
import { type Rig, startRig } from '../../helpers/client-library';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

const isState = (state: string) => (told: { state: string }) => told.state === state;

describe('the token', () => {
  test('stands among the sub-protocols', async () => {
    rig.connect({ token: 'a.b.c' });
    expect((await rig.server.connection()).offered).toEqual(['gateway.v1', 'bearer.a.b.c']);
  });

  test('need not be', async () => {
    rig.connect();
    expect((await rig.server.connection()).offered).toEqual(['gateway.v1']);
  });

  test('is asked of a function anew for each connection', async () => {
    let asked = 0;
    rig.connect({ token: async () => `token-${++asked}` });
    const first = await rig.server.connection();
    first.cut();
    const second = await rig.server.connection();
    expect([first.offered[1], second.offered[1]]).toEqual(['bearer.token-1', 'bearer.token-2']);
  });

  test('that cannot be had is an error, and asked for again', async () => {
    let asked = 0;
    const cause = new Error('no network');
    const gateway = rig.connect({
      token: () => {
        if (++asked === 1) throw cause;
        return 'good';
      },
    });
    expect(await gateway.tells('error')).toMatchObject({ code: 'connect_failed', retryable: true, cause });
    expect((await rig.server.connection()).offered[1]).toBe('bearer.good');
  });
});

describe('the state', () => {
  test('goes from connecting to open, over waiting back to open, and ends as closed', async () => {
    const gateway = rig.connect();
    expect(gateway.state).toBe('connecting');
    const connection = await rig.server.connection();
    await gateway.tells('state', isState('open'));
    connection.cut();
    await gateway.tells('state', isState('open'));
    gateway.close();
    expect(gateway.told.state).toEqual([
      { state: 'open' },
      { state: 'waiting' },
      { state: 'connecting' },
      { state: 'open' },
      { state: 'closed', reason: 'closed' },
    ]);
  });

  test('is closed for good, also where it is closed while it connects', async () => {
    let isAsked = () => {};
    const asked = new Promise<void>((resolve) => {
      isAsked = resolve;
    });
    let give = (_token: string) => {};
    const gateway = rig.connect({
      token: () => {
        isAsked();
        return new Promise((resolve) => {
          give = resolve;
        });
      },
    });
    await asked;
    gateway.close();
    give('too-late');
    expect(await rig.server.isAlone()).toBe(true);
    expect(gateway.state).toBe('closed');
  });

  test('is left alone by a listener that throws, which is told as an error', async () => {
    const gateway = rig.connect();
    const cause = new Error('a bug');
    gateway.on('state', () => {
      throw cause;
    });
    gateway.on('error', () => {
      throw new Error('another');
    });
    await gateway.tells('state', isState('open'));
    expect(gateway.told.error).toMatchObject([{ code: 'listener_failed', cause }]);
    const sent = gateway.send({});
    await (await rig.server.connection()).acks();
    await sent;
  });

  test('is told to a listener until it is unsubscribed', async () => {
    const gateway = rig.connect();
    const states: string[] = [];
    const off = gateway.on('state', ({ state }) => states.push(state));
    await gateway.tells('state', isState('open'));
    off();
    gateway.close();
    expect(states).toEqual(['open']);
  });

  test('is told to those who listened when it changed, and still do', async () => {
    const gateway = rig.connect();
    const heard: string[] = [];
    gateway.on('state', () => {
      offSecond();
      gateway.on('state', () => heard.push('one that came in the meantime'));
      heard.push('the first');
    });
    const offSecond = gateway.on('state', () => heard.push('one that has just left'));
    await gateway.tells('state', isState('open'));
    expect(heard).toEqual(['the first']);
  });
});

test('a connection that is refused is an error with its cause, and tried again', async () => {
  rig.server.answers.push(401, 503);
  const gateway = rig.connect();
  await gateway.tells('state', isState('open'));
  expect(gateway.told.error.map(({ code, cause }) => [code, (cause as Error).message])).toEqual([
    ['connect_failed', 'Unexpected server response: 401'],
    ['connect_failed', 'Unexpected server response: 503'],
  ]);
});

test('a handshake that is never answered is given up', async () => {
  rig.server.answers.push('silence');
  const gateway = rig.connect({}, { openMs: 50 });
  await gateway.tells('state', isState('waiting'));
  await rig.server.connection();
});

test('an idle connection is kept open by pings', async () => {
  rig.connect({ pingMs: 20 });
  const connection = await rig.server.connection();
  for (let count = 0; count < 3; count += 1) {
    expect(await connection.hears('ping')).toEqual({ action: 'ping' });
    connection.say({ event: 'pong' });
  }
});

test('a connection that answers no ping is dead, also where pings are frequent', async () => {
  const gateway = rig.connect({ pingMs: 20 }, { silenceMs: 50 });
  await rig.server.connection();
  await gateway.tells('state', isState('waiting'));
  await rig.server.connection();
});

test('a connection that falls silent after a send is asked by a ping, and dead when it does not answer', async () => {
  const gateway = rig.connect({}, { silenceMs: 30 });
  const first = await rig.server.connection();
  const sent = gateway.send({});
  await first.hears('ping');
  first.say({ event: 'pong' });
  await first.acks();
  await sent;
  gateway.send({}).catch(() => undefined);
  await first.hears('ping');
  await gateway.tells('state', isState('waiting'));
});

test('frames that are unknown, or no JSON, are passed over', async () => {
  const gateway = rig.connect();
  const connection = await rig.server.connection();
  for (const rubbish of ['rubbish', 'null', '1', '[]', '{"event":"pong"}']) connection.say(rubbish);
  connection.say({ event: 'recv', data: 1 });
  await gateway.tells('recv');
  expect(gateway.told.recv).toHaveLength(1);
});

describe('a page', () => {
  const page = new EventTarget();
  const document = Object.assign(new EventTarget(), { hidden: false });

  beforeEach(() => {
    const addEventListener = page.addEventListener.bind(page);
    Object.assign(globalThis, { addEventListener, document });
    document.hidden = false;
  });
  afterEach(() => {
    Object.assign(globalThis, { addEventListener: undefined, document: undefined });
  });

  test.each([
    ['the network is back', () => page.dispatchEvent(new Event('online'))],
    ['it is seen again', () => document.dispatchEvent(new Event('visibilitychange'))],
  ])('connects at once when %s', async (_, happens) => {
    rig.server.answers.push(503);
    const gateway = rig.connect({}, { pauseMs: 1e9, longestPauseMs: 1e9 });
    await gateway.tells('state', isState('waiting'));
    document.hidden = true;
    document.dispatchEvent(new Event('visibilitychange'));
    expect(gateway.state).toBe('waiting');
    document.hidden = false;
    happens();
    expect(gateway.state).toBe('connecting');
    await rig.server.connection();
  });

  test('asks an open connection whether it is alive', async () => {
    const gateway = rig.connect();
    const connection = await rig.server.connection();
    await gateway.tells('state', isState('open'));
    page.dispatchEvent(new Event('online'));
    await connection.hears('ping');
  });

  test('is not listened to by one that is closed', async () => {
    const signals: unknown[] = [];
    const addEventListener = (_: string, __: unknown, options: { signal: AbortSignal }) => signals.push(options.signal);
    Object.assign(globalThis, { addEventListener, document: { hidden: false, addEventListener } });
    rig.connect().close();
    expect(signals).toMatchObject([{ aborted: true }, { aborted: true }]);
  });
});

describe('the pauses between attempts', () => {
  afterEach(() => void jest.useRealTimers());

  test.each([
    ['that cannot be had', undefined],
    ['that ends at once', 100],
  ])('for a connection %s are anything up to a limit that doubles, up to 30 seconds', async (_, livesMs) => {
    jest.useFakeTimers();
    const pausesMs: number[] = [];
    for (let run = 0; run < 40; run += 1) pausesMs.push(...(await pausesOf(10, livesMs)));
    for (const [index, pauseMs] of pausesMs.entries()) {
      expect(pauseMs).toBeLessThanOrEqual(Math.min(500 * 2 ** (index % 10), 30_000));
    }
    const last = pausesMs.filter((_, index) => index % 10 === 9);
    expect(Math.max(...last)).toBeGreaterThan(20_000);
    expect(Math.min(...last)).toBeLessThan(10_000);
  });

  test('for a connection that lived a while are short', async () => {
    jest.useFakeTimers();
    expect(Math.max(...(await pausesOf(50, 10_001)))).toBeLessThanOrEqual(500);
  });

  /** @param livesMs how long each connection is open; else none can be had. */
  async function pausesOf(attempts: number, livesMs?: number): Promise<number[]> {
    const pausesMs: number[] = [];
    let endedAt: number | undefined;
    class Faulty implements WebSocketLike {
      readyState = 1;
      constructor() {
        if (endedAt !== undefined) pausesMs.push(Date.now() - endedAt);
      }
      send(): void {}
      close(): void {}
      addEventListener(type: string, listener: (event?: object) => void): void {
        if (type === 'open' && livesMs !== undefined) queueMicrotask(listener);
        if (type !== 'close') return;
        setTimeout(() => {
          endedAt = Date.now();
          listener({ code: 1006 });
        }, livesMs ?? 0);
      }
    }
    const gateway = openGateway('ws://nowhere', Faulty, {}, timing);
    while (pausesMs.length < attempts) await jest.advanceTimersToNextTimerAsync();
    gateway.close();
    return pausesMs;
  }
});

test('without any WebSocket it says what to do', () => {
  const there = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  if (there) Object.defineProperty(globalThis, 'WebSocket', { value: undefined, configurable: true });
  try {
    expect(() => connect('ws://localhost')).toThrow('There is no WebSocket here; pass that of the package ws');
  } finally {
    if (there) Object.defineProperty(globalThis, 'WebSocket', there);
  }
});
