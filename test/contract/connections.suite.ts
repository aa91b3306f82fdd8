import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type Connections, leaseFrom, leaseSeconds } from '../../lib/connections';

/** What every connection table promises. */
export function describeConnections(name: string, open: () => Promise<Connections>): void {
  describe(`the connection table on ${name}`, () => {
    let connections: Connections;
    const openedAt = 1_700_000_000_000;
    const soonAfter = openedAt + 1000;

    beforeAll(async () => {
      connections = await open();
    });

    test('finds a connection that was opened', async () => {
      const connection = leaseFrom(randomUUID(), openedAt);
      await connections.open(connection);
      expect(await connections.find(connection.connectionId, soonAfter)).toEqual(connection);
    });

    test('keeps whose it is, where that is known', async () => {
      const connection = leaseFrom(randomUUID(), openedAt, 'alice');
      await connections.open(connection);
      expect(await connections.find(connection.connectionId, soonAfter)).toMatchObject({ userId: 'alice' });
    });

    test('finds none that was not', async () => {
      expect(await connections.find(randomUUID(), soonAfter)).toBeUndefined();
    });

    test('treats a row as absent once its lease has ended, whether or not it is still stored', async () => {
      const connection = leaseFrom(randomUUID(), openedAt);
      await connections.open(connection);
      const end = openedAt + leaseSeconds * 1000;
      expect(await connections.find(connection.connectionId, end - 1)).toBeDefined();
      expect(await connections.find(connection.connectionId, end)).toBeUndefined();
    });

    test('removes a connection, once', async () => {
      const { connectionId } = leaseFrom(randomUUID(), openedAt);
      await connections.open(leaseFrom(connectionId, openedAt));
      expect(await connections.remove(connectionId, openedAt)).toBe('removed');
      expect(await connections.remove(connectionId, openedAt)).toBe('kept');
      expect(await connections.find(connectionId, soonAfter)).toBeUndefined();
    });

    test('never removes a row that is newer than what is known', async () => {
      const { connectionId } = leaseFrom(randomUUID(), openedAt);
      await connections.open(leaseFrom(connectionId, openedAt));
      expect(await connections.remove(connectionId, openedAt - 1)).toBe('kept');
      expect(await connections.find(connectionId, soonAfter)).toBeDefined();
    });

    test('never replaces a newer row by an older opening, and repeats an opening without harm', async () => {
      const newer = leaseFrom(randomUUID(), openedAt);
      await connections.open(newer);
      await connections.open(newer);
      await connections.open(leaseFrom(newer.connectionId, openedAt - 5000));
      expect(await connections.find(newer.connectionId, soonAfter)).toEqual(newer);
    });
  });
}
