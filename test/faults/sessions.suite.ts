import { randomInt } from 'node:crypto';
import { describe, expect } from '@jest/globals';
import type { Row } from './books';
import { faultOn, type TestBroker } from './faults';
import { cut, type Regular, type Regulars } from './regulars';
import { type SessionRig, startSessionRig } from './session-rig';

/**
 * What strikes clients in sessions: their sockets, the functions, the way to the broker. The application has every reply exactly
 * once and in order, and no session ends.
 */
export function describeSessionFaults(broker: TestBroker): void {
  describe(`sessions, on ${broker.name}`, () => {
    const start = () => startSessionRig(broker.url(), { clients: 25, messages: 2, replies: 10, pauseMs: 1500 });
    const startMany = () => startSessionRig(broker.url(), { clients: 50, messages: 4, replies: 10, pauseMs: 1500 });

    faultOn(broker, 'sessions: clients cut at random', startMany, async (rig) => {
      const cuts = cutAtRandom(rig.regulars);
      await rig.regulars.converse();
      return (row) => {
        expect(cuts()).toBeGreaterThan(100);
        expect(rig.regulars.all.reduce((sum, { resumed }) => sum + resumed, 0)).toBeGreaterThan(100);
        expect(rig.stored()).toBeGreaterThan(0);
        expectWhole(rig, row);
      };
    });

    faultOn(broker, 'sessions: `consumer` killed -9 in mid-batch', start, async (rig) => {
      let posts = 0;
      rig.front.onPost(({ event }) => {
        if (event === 'recv') posts += 1;
        if (posts >= 60 * rig.consumer.starts && rig.consumer.starts <= 5) void rig.consumer.kill();
      });
      await rig.regulars.converse();
      return (row) => {
        expect(rig.consumer.starts).toBe(6);
        expect(rig.consumer.failures.length).toBeGreaterThanOrEqual(5);
        expectWhole(rig, row);
      };
    });

    faultOn(broker, 'sessions: `session` killed -9 in mid-replay', start, async (rig) => {
      const replaying = new Map<string, number>();
      let struck = 0;
      rig.front.onPost(({ event, seq = 0, resumed }, connectionId) => {
        if (resumed) replaying.set(connectionId, seq);
        // There is one more to come.
        const isInTheMidst = event === 'recv' && seq < (replaying.get(connectionId) ?? 0);
        if (!isInTheMidst || struck === 5 || struck === rig.session.starts) return;
        struck += 1;
        void rig.session.kill();
      });
      cutAtRandom(rig.regulars);
      await rig.regulars.converse();
      return (row) => {
        expect(struck).toBeGreaterThan(0);
        expect(rig.session.starts).toBe(struck + 1);
        expectWhole(rig, row);
      };
    });

    faultOn(broker, 'sessions: all connections to the broker reset', start, async (rig) => {
      const conversation = rig.regulars.converse();
      for (const replies of [100, 200, 300]) {
        await rig.regulars.replied(replies);
        rig.wire.reset();
      }
      const { connections } = rig.wire;
      await conversation;
      return (row) => {
        expect(rig.wire.connections).toBeGreaterThan(connections);
        expectWhole(rig, row);
      };
    });
  });
}

/** Cuts a client off, any of them, with each tenth reply that one of them is given. @returns how many were cut so far. */
function cutAtRandom({ all }: Regulars): () => number {
  let [replies, cuts] = [0, 0];
  for (const { gateway } of all) {
    gateway.on('recv', () => {
      replies += 1;
      if (replies % 10 === 0 && cut(all[randomInt(all.length)] as Regular)) cuts += 1;
    });
  }
  return () => cuts;
}

export function expectWhole({ regulars }: SessionRig, row: Row): void {
  expect(regulars.areWhole()).toBe(true);
  expect(row).toMatchObject({ delivered: row.messages, deadLettered: 0, gone: 0 });
}
