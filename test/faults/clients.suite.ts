import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect } from '@jest/globals';
import WebSocket from 'ws';
import type { Row } from './books';
import { type Crowd, type Farewell, type Member, startCrowd } from './crowd';
import { faultOn } from './faults';

/**
 * What clients do to the local stack, and with it to each other: who stays gets every reply once, for who has left the
 * replies are counted, and the stack lives on.
 * @param env of the stack: with AMQP_URL on that broker, else on an embedded one.
 */
export function describeClientFaults(name: string, env: Record<string, string>): void {
  const start = () => startCrowd(env);

  describe(`clients, on ${name}`, () => {
    faultOn({ name }, '200 clients come and go', start, async (crowd) => {
      const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));
      const below = random(seed);
      process.stdout.write(`FUZZ_SEED=${seed}\n`);
      const comers = Array.from({ length: 200 }, (_, n) => ({
        name: `comer-${n}`,
        comesAfterMs: below(3000),
        ends: plans[below(plans.length)] as Plan,
        messages: 2 + below(6),
        pauseMs: below(100),
      }));
      const staying: Member[] = [];
      await Promise.all(
        comers.map(async ({ name, comesAfterMs, ends, messages, pauseMs }) => {
          await sleep(comesAfterMs);
          if (ends === 'before it is in') return crowd.pass(pauseMs / 4);
          const member = await crowd.join(name);
          for (let n = 0; n < messages; n += 1) {
            await sleep(pauseMs);
            member.send();
          }
          if (ends === 'stays') staying.push(member);
          else member.leave(ends);
        }),
      );
      await Promise.all(staying.map((member) => member.served()));
      return async (row) => {
        expect(row.gone).toBeGreaterThan(0);
        expect(crowd.verdicts().gone).toBeGreaterThan(0);
        await expectWell(crowd, row, staying);
      };
    });

    faultOn({ name }, 'clients reset with replies on their way', start, async (crowd) => {
      const members = await Promise.all(Array.from({ length: 50 }, (_, n) => crowd.join(`client-${n}`)));
      const [leaving, staying] = [members.slice(0, 25), members.slice(25)];
      for (const member of leaving) {
        member.socket.on('message', () => {
          if (member.replied.size === 3 && member.socket.readyState === WebSocket.OPEN) member.leave('reset');
        });
      }
      for (const member of members) member.send(20);
      await Promise.all([
        ...leaving.map(({ socket }) => once(socket, 'close')),
        ...staying.map((member) => member.served()),
      ]);
      return async (row) => {
        expect(row.gone).toBeGreaterThan(0);
        await expectWell(crowd, row, staying);
      };
    });

    faultOn({ name }, 'a client does not read', start, async (crowd) => {
      const deaf = await crowd.join('deaf');
      const cut = once(deaf.socket, 'close').then(() => crowd.books.goneConnection('deaf'));
      deaf.socket.pause();
      const staying = await Promise.all(Array.from({ length: 20 }, (_, n) => crowd.join(`client-${n}`)));
      for (let round = 0; round < 10; round += 1) {
        deaf.send(50, 60_000);
        for (const member of staying) member.send(3);
        await Promise.all(staying.map((member) => member.served()));
      }
      deaf.socket.resume();
      await deaf.served();
      expect(deaf.socket.readyState).not.toBe(WebSocket.OPEN);
      await cut;
      return async (row) => {
        expect(crowd.verdicts().gone).toBeGreaterThan(0);
        await expectWell(crowd, row, staying);
      };
    });
  });
}

/** How a client ends, as often as it is named here. */
type Plan = Farewell | 'stays' | 'before it is in';
const plans: Plan[] = ['stays', 'stays', 'stays', 'close', 'end', 'end in mid-frame', 'reset', 'before it is in'];

/** Those who stayed were all served; a new client is; nobody else is known; and Ctrl-C ends the stack. */
async function expectWell(crowd: Crowd, row: Row, staying: Member[]): Promise<void> {
  expect(row.deadLettered).toBe(0);
  expect(crowd.books.refused).toEqual(new Map());
  for (const { socket, acked, replied } of staying) {
    expect(socket.readyState).toBe(WebSocket.OPEN);
    expect(replied).toEqual(acked);
  }
  const newcomer = await crowd.join('newcomer');
  newcomer.send();
  await newcomer.served();
  expect(newcomer.replied.size).toBe(1);
  const rows = await crowd.rows();
  if (rows !== undefined) expect(rows).toBeLessThanOrEqual(staying.length + 1 + crowd.unnoticed);
  expect(await crowd.stack.stop()).toBe(0);
}

/** Mulberry32: whole numbers below a limit, the same for the same seed. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}
