import { beforeEach, describe, expect, test } from '@jest/globals';
import { type Renewing, renewing, WithdrawnError } from '../../lib/renewing';

describe('a value that is renewed', () => {
  const limits = { freshMs: 100, cooldownMs: 10, pauseMs: 5, keptMs: 1000 };
  const outOfReach = new Error('out of reach');
  let now: number;
  let fetches: number;
  let failure: Error | undefined;
  let value: Renewing<object>;

  beforeEach(() => {
    now = 5000;
    fetches = 0;
    failure = undefined;
    value = renewing(
      async () => {
        fetches += 1;
        if (failure !== undefined) throw failure;
        return { n: fetches };
      },
      limits,
      () => now,
    );
  });

  test('is fetched when it is first needed, once however many wait for it', async () => {
    expect(fetches).toBe(0);
    const all = await Promise.all([value.current(), value.current(), value.current()]);
    expect(new Set(all).size).toBe(1);
    expect(fetches).toBe(1);
  });

  test('is used while it is fresh, and then fetched again', async () => {
    const first = await value.current();
    now += 99;
    expect(await value.current()).toBe(first);
    now += 1;
    expect(await value.current()).not.toBe(first);
    expect(fetches).toBe(2);
  });

  test('lives on while no other is to be had, with one attempt in each cooldown, until its time is over', async () => {
    const first = await value.current();
    failure = outOfReach;
    now += 100;
    expect(await value.current()).toBe(first);
    expect(await value.current()).toBe(first);
    expect(fetches).toBe(2);
    now += 10;
    expect(await value.current()).toBe(first);
    expect(fetches).toBe(3);
    now += 889;
    expect(await value.current()).toBe(first);
    now += 1;
    await expect(value.current()).rejects.toThrow('out of reach');
    failure = undefined;
    now += 5;
    expect(await value.current()).toEqual({ n: 5 });
  });

  test('is asked for once in each pause where there never was one, and nobody is told less than the reason', async () => {
    failure = outOfReach;
    await expect(value.current()).rejects.toThrow('out of reach');
    now += 4;
    failure = undefined;
    await expect(value.current()).rejects.toThrow('out of reach');
    expect(fetches).toBe(1);
    now += 1;
    expect(await value.current()).toEqual({ n: 2 });
  });

  test('does not outlive its freshness once it is withdrawn, whatever fails after that', async () => {
    const first = await value.current();
    failure = new WithdrawnError('no such thing');
    now += 99;
    expect(await value.renewed(first)).toBeUndefined();
    expect(await value.current()).toBe(first);
    now += 1;
    await expect(value.current()).rejects.toThrow('no such thing');
    expect(fetches).toBe(2);
    failure = outOfReach;
    now += 5;
    await expect(value.current()).rejects.toThrow('out of reach');
    failure = undefined;
    now += 5;
    expect(await value.current()).toEqual({ n: 4 });
  });

  test('is nobody’s from the moment that it is found withdrawn when it is no longer fresh', async () => {
    await value.current();
    failure = new WithdrawnError('no such thing');
    now += 100;
    const all = await Promise.allSettled([value.current(), value.current()]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(fetches).toBe(2);
  });

  test('is fetched anew where it does not fit, at most once in each cooldown', async () => {
    const first = await value.current();
    expect(await value.renewed(first)).toBeUndefined();
    now += 10;
    const [second, same] = await Promise.all([value.renewed(first), value.renewed(first)]);
    expect(second).toEqual({ n: 2 });
    expect(same).toBe(second);
    expect(await value.renewed(second as object)).toBeUndefined();
    expect(fetches).toBe(2);
  });

  test('is the newer one at once for whoever still had the older', async () => {
    const first = await value.current();
    now += 10;
    const second = await value.renewed(first);
    expect(await value.renewed(first)).toBe(second);
    expect(fetches).toBe(2);
  });

  test('stays where a renewal fails', async () => {
    const first = await value.current();
    failure = outOfReach;
    now += 10;
    expect(await value.renewed(first)).toBeUndefined();
    expect(await value.current()).toBe(first);
  });
});
