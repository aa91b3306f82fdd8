import { beforeEach, describe, expect, test } from '@jest/globals';
import { type Renewing, renewing } from '../../lib/renewing';

describe('a value that is renewed', () => {
  const limits = { freshMs: 100, cooldownMs: 10, keptMs: 1000 };
  let now: number;
  let fetches: number;
  let works: boolean;
  let value: Renewing<object>;

  beforeEach(() => {
    now = 5000;
    fetches = 0;
    works = true;
    value = renewing(
      async () => {
        fetches += 1;
        if (!works) throw new Error('out of reach');
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
    works = false;
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
    works = true;
    expect(await value.current()).toEqual({ n: fetches });
  });

  test('is asked for each time where there never was one', async () => {
    works = false;
    await expect(value.current()).rejects.toThrow('out of reach');
    await expect(value.current()).rejects.toThrow('out of reach');
    works = true;
    expect(await value.current()).toEqual({ n: 3 });
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
    works = false;
    now += 10;
    expect(await value.renewed(first)).toBeUndefined();
    expect(await value.current()).toBe(first);
  });
});
