import { describe, expect } from '@jest/globals';
import type { Row } from './books';
import { faultOn, type TestBroker } from './faults';
import { cut, type Regulars } from './regulars';
import { manyReplies, type SessionRig, startSessionRig } from './session-rig';

/**
 * What strikes clients in sessions: their sockets, the functions, the way to the broker. The application has every reply exactly
 * once and in order, and no session ends.
 */
export function describeSessionFaults(broker: TestBroker): void {
  describe(`sessions, on ${broker.name}`, () => {
    const start = () => startSessionRig(broker.url(), manyReplies);

    faultOn(broker, 'sessions: clients cut at every tenth reply', start, async (rig) => {
      const cuts = cutAtReplies(rig.regulars);
      await rig.regulars.converse();
      return (row) => {
        expect(cuts()).toBeGreaterThan(100);
        expect(rig.regulars.all.reduce((sum, { resumed }) => sum + resumed, 0)).toBeGreaterThan(100);
        expect(rig.stored()).toBeGreaterThan(0);
        expect(row.duplicated).toBe(0);
        expectWhole(rig, row);
      };
    });

    faultOn(broker, 'sessions: `consumer` killed -9 in mid-batch', start, async (rig) => {
      let posts = 0;
      rig.front.onPost(({ event }) => {
        if (event === 'recv') posts += 1;
        if (posts >= 150 * rig.consumer.starts && rig.consumer.starts <= 5) void rig.consumer.kill();
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
      cutAtReplies(rig.regulars);
      await rig.regulars.converse();
      return (row) => {
        expect(struck).toBeGreaterThan(0);
        expect(rig.session.starts).toBe(struck + 1);
        expectWhole(rig, row);
      };
    });

    faultOn(broker, 'sessions: all connections to the broker reset', start, async (rig) => {
      const conversation = rig.regulars.converse();
      for (const replies of [300, 700, 1100]) {
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

/** Cuts the client off that has just been given a reply, with each tenth of them. @returns how many were cut so far. */
function cutAtReplies({ all }: Regulars): () => number {
  let [replies, cuts] = [0, 0];
  for (const regular of all) {
    regular.gateway.on('recv', () => {
      replies += 1;
      if (replies % 10 === 0 && cut(regular)) cuts += 1;
    });
  }
  return () => cuts;
}

export function expectWhole({ regulars }: SessionRig, row: Row): void {
  expect(regulars.areWhole()).toBe(true);
  expect(row).toMatchObject({ delivered: row.messages, deadLettered: 0, gone: 0 });
}
