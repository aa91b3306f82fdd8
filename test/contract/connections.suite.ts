import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Connections, leaseFrom } from '../../lib/connections';

export interface TestConnections {
  connections: Connections;
  /** What is stored, as plain values. */
  rowOf(connectionId: string): Promise<object | undefined>;
}

/** What every connection table promises. */
export function describeConnections(name: string, open: () => Promise<TestConnections>): void {
  describe(`the connection table on ${name}`, () => {
    let connections: Connections;
    let rowOf: TestConnections['rowOf'];
    const openedAt = 1_700_000_000_000;
    const soonAfter = openedAt + 1000;
    const sessionEndsAt = openedAt + 86_400_000;

    beforeAll(async () => {
      ({ connections, rowOf } = await open());
    });

    /** The id of a connection that was opened. */
    const opened = async (userId?: string) => {
      const connection = leaseFrom(randomUUID(), openedAt, userId);
      await connections.open(connection);
      return connection.connectionId;
    };

    describe('as a list of who is connected', () => {
      test('keeps a connection that was opened, and whose it is where that is known', async () => {
        const [anybody, alice] = [await opened(), await opened('alice')];
        expect(await rowOf(anybody)).toEqual(leaseFrom(anybody, openedAt));
        expect(await rowOf(alice)).toEqual(leaseFrom(alice, openedAt, 'alice'));
      });

      test('removes a connection, once', async () => {
        const connectionId = await opened();
        expect(await connections.remove(connectionId, openedAt)).toEqual({ result: 'removed' });
        expect(await connections.remove(connectionId, openedAt)).toEqual({ result: 'kept' });
        expect(await rowOf(connectionId)).toBeUndefined();
      });

      test('never removes a row that is newer than what is known', async () => {
        const connectionId = await opened();
        expect(await connections.remove(connectionId, openedAt - 1)).toEqual({ result: 'kept' });
        expect(await rowOf(connectionId)).toBeDefined();
      });

      test('never replaces a newer row by an older opening, and replaces an older one', async () => {
        const connectionId = await opened();
        await connections.open(leaseFrom(connectionId, openedAt - 5000));
        expect(await rowOf(connectionId)).toEqual(leaseFrom(connectionId, openedAt));
        await connections.open(leaseFrom(connectionId, openedAt + 5000));
        expect(await rowOf(connectionId)).toEqual(leaseFrom(connectionId, openedAt + 5000));
      });
    });

    describe('as a list of who is in which session', () => {
      test('puts a connection into a session, and tells it from then on', async () => {
        const connectionId = await opened('alice');
        expect(await connections.join(connectionId, 's', sessionEndsAt)).toEqual({ result: 'joined', plainUntil: 0 });
        expect(await connections.membership(connectionId, soonAfter)).toEqual({ session: 's', sessionEndsAt });
        expect(await rowOf(connectionId)).toMatchObject(leaseFrom(connectionId, openedAt, 'alice'));
      });

      test('takes it for good: the same session again is joined, another one is not', async () => {
        const connectionId = await opened();
        await connections.join(connectionId, 's', sessionEndsAt);
        expect(await connections.join(connectionId, 's', sessionEndsAt)).toMatchObject({ result: 'joined' });
        expect(await connections.join(connectionId, 'another', sessionEndsAt + 1)).toEqual({ result: 'in_another' });
        expect(await connections.membership(connectionId, soonAfter)).toEqual({ session: 's', sessionEndsAt });
      });

      test('tells without a promise, too, and then nobody waits for it', async () => {
        const connectionId = await opened();
        expect(await connections.membership(connectionId)).toBeUndefined();
        expect(await connections.join(connectionId, 's', sessionEndsAt)).toEqual({ result: 'joined', plainUntil: 0 });
        expect(await connections.membership(connectionId)).toEqual({ session: 's', sessionEndsAt });
      });

      test('gives one session to a connection that joins two at once', async () => {
        const connectionId = await opened();
        const both = await Promise.all(['s', 't'].map((each) => connections.join(connectionId, each, sessionEndsAt)));
        expect(both.map(({ result }) => result).sort()).toEqual(['in_another', 'joined']);
        const winner = both[0]?.result === 'joined' ? 's' : 't';
        expect(await connections.membership(connectionId, soonAfter)).toMatchObject({ session: winner });
      });

      test('writes no row for a connection that has none', async () => {
        const connectionId = randomUUID();
        expect(await connections.join(connectionId, 's', sessionEndsAt)).toEqual({ result: 'absent' });
        expect(await connections.membership(connectionId, soonAfter)).toBeUndefined();
        expect(await rowOf(connectionId)).toBeUndefined();
      });

      test('tells who joins until when it may be taken for plain: the latest time that was promised', async () => {
        const connectionId = await opened();
        expect(await connections.membership(connectionId, soonAfter)).toBeUndefined();
        expect(await connections.membership(connectionId, soonAfter + 500)).toBeUndefined();
        expect(await connections.membership(connectionId, soonAfter + 200)).toBeUndefined();
        const joined = { result: 'joined', plainUntil: soonAfter + 500 };
        expect(await connections.join(connectionId, 's', sessionEndsAt)).toEqual(joined);
      });

      test('lets no one take a connection for plain that has joined, whoever of both was first', async () => {
        for (let n = 0; n < 20; n += 1) {
          const connectionId = await opened();
          const [joined, membership] = await Promise.all([
            connections.join(connectionId, 's', sessionEndsAt),
            connections.membership(connectionId, soonAfter),
          ]);
          // Either the one knows of the session, or the other of who does not.
          expect(joined).toEqual({ result: 'joined', plainUntil: membership === undefined ? soonAfter : 0 });
        }
      });

      test('tells of a removed connection in which session it was', async () => {
        const connectionId = await opened();
        await connections.join(connectionId, 's', sessionEndsAt);
        expect(await connections.remove(connectionId, openedAt - 1)).toEqual({ result: 'kept' });
        expect(await connections.remove(connectionId, openedAt)).toEqual({ result: 'removed', session: 's' });
      });

      test('takes no connection out of its session when it is opened again', async () => {
        const connectionId = await opened();
        await connections.join(connectionId, 's', sessionEndsAt);
        await connections.open(leaseFrom(connectionId, openedAt));
        expect(await connections.membership(connectionId, soonAfter)).toEqual({ session: 's', sessionEndsAt });
      });
    });
  });
}
