import { setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from '../../../../lib/connections';
import { GatewayError } from '../../../../lib/errors';
import type { Attempt, Begun, Sends } from '../../../../lib/session/sends';

/** The connection table and the sends of sessions in memory; each request is a step before and after its effect. */

interface Row {
  openedAt: number;
  session?: string;
  sessionEndsAt?: number;
  plainUntil?: number;
}

interface Message {
  messageId: string;
  fate: 'trying' | 'acked';
  by: string;
  busyUntil: number;
}

export interface Tables {
  rows: Map<string, Row>;
  /** By session and client's id, which has no line break. */
  messages: Map<string, Message>;
}

type Request = <T>(what: string, act: () => T) => Promise<T>;

const lookMs = 150;

export function noTables(): Tables {
  return { rows: new Map(), messages: new Map() };
}

export function keyOf(session: string, clientId: string): string {
  return `${session}\n${clientId}`;
}

export function memoryConnections({ rows }: Tables, request: Request): Connections {
  return {
    open: ({ connectionId, openedAt }) => request('open', () => void rows.set(connectionId, { openedAt })),

    join: (connectionId, session, sessionEndsAt) =>
      request('join', () => {
        const row = rows.get(connectionId);
        if (row === undefined) return { result: 'absent' };
        if (row.session !== undefined && row.session !== session) return { result: 'in_another' };
        Object.assign(row, { session, sessionEndsAt });
        return { result: 'joined', plainUntil: row.plainUntil ?? 0 };
      }),

    membership: (connectionId, plainUntil = 0) =>
      request('membership', () => {
        const row = rows.get(connectionId);
        if (row === undefined) return undefined;
        const { session, sessionEndsAt = 0 } = row;
        if (session !== undefined) return { session, sessionEndsAt };
        row.plainUntil = Math.max(row.plainUntil ?? 0, plainUntil);
        return undefined;
      }),

    remove: (connectionId, openedBefore) =>
      request('remove', () => {
        const row = rows.get(connectionId);
        if (row === undefined || row.openedAt > openedBefore) return { result: 'kept' };
        rows.delete(connectionId);
        return { result: 'removed', ...(row.session === undefined ? {} : { session: row.session }) };
      }),
  };
}

/** As on DynamoDB: each request is one conditional write, or one read. */
export function memorySends({ messages }: Tables, request: Request): Sends {
  const ifMine = (attempt: Attempt, act: (message: Message, key: string) => void) =>
    request('settle', () => {
      const key = keyOf(attempt.session, attempt.clientId);
      const message = messages.get(key);
      if (message?.by === attempt.messageId) act(message, key);
    });

  return {
    async begin({ session, clientId, messageId }, deadline): Promise<Begun> {
      const key = keyOf(session, clientId);
      for (;;) {
        const isFirst = await request('begin', () => {
          if (messages.has(key)) return false;
          messages.set(key, { messageId, fate: 'trying', by: messageId, busyUntil: deadline });
          return true;
        });
        if (isFirst) return { result: 'first', messageId };
        const found = await request('look', () => ({ ...messages.get(key) }));
        if (found.messageId === undefined) continue;
        const known = found.messageId;
        if (found.fate === 'acked') return { result: 'acked', messageId: known };
        if (found.by === messageId) return { result: known === messageId ? 'first' : 'unknown', messageId: known };
        if ((found.busyUntil ?? 0) <= Date.now()) {
          await request('take over', () => {
            const message = messages.get(key);
            if (message?.fate === 'trying' && message.by === found.by) {
              Object.assign(message, { by: messageId, busyUntil: deadline });
            }
          });
        } else if (Date.now() + lookMs < deadline) await sleep(lookMs);
        else throw new GatewayError('unavailable', 'A message with this id is still on its way; send it again.');
      }
    },

    acked: (attempt) => ifMine(attempt, (message) => Object.assign(message, { fate: 'acked' })),
    release: (attempt) => ifMine(attempt, (message) => Object.assign(message, { busyUntil: Date.now() })),
    forget: (attempt) => ifMine(attempt, (_, key) => messages.delete(key)),
  };
}
