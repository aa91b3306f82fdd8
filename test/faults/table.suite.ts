import { describe, expect } from '@jest/globals';
import { encodeCorrelation } from '../../lib/correlation';
import type { TableAnswer } from '../helpers/table-api';
import { fault, type TestBroker } from './faults';

const faults: [name: string, how: TableAnswer][] = [
  ['DynamoDB throttles', 'throttle'],
  ['DynamoDB answers 500', 'fail'],
  ['DynamoDB does not answer', 'hang'],
  ['DynamoDB resets connections', 'reset'],
];

/** One of the clients of the load, which leaves under it. */
const leaver = 'client-7';
/** API Gateway gives `$connect` ten seconds. */
const wellWithinMs = 8000;
/** A table that does not answer is given up after 4.5 s. */
const atOnceMs = 3500;
/** A batch that waited for the table would take as long as a call to it may, and the load makes several. */
const soonMs = 25_000;

/**
 * What the connection table does to each function: `connect` answers in time, and lets in only whom it has written down;
 * `send` asks it in which session a connection is, and sends what names none without an answer; `consumer` would remove the
 * rows of clients that have gone, and delivers without that.
 */
export function describeTableFaults(broker: TestBroker): void {
  describe(`DynamoDB, beside ${broker.name}`, () => {
    for (const [name, how] of faults) {
      fault(broker, name, {}, async (rig) => {
        const { books, consumer, table } = rig;
        const connect = rig.start('connect');
        /** As API Gateway invokes it; a throw or a timeout rejects. */
        const open = async (connectionId: string) => {
          const startedAt = Date.now();
          const requestContext = { connectionId, eventType: 'CONNECT', connectedAt: startedAt };
          const { statusCode } = (await connect.invoke({ requestContext })) as { statusCode: number };
          return { statusCode, tookMs: Date.now() - startedAt };
        };

        const sendOne = async (frame: object) => {
          const startedAt = Date.now();
          const requestContext = { connectionId: 'newcomer', eventType: 'MESSAGE', connectedAt: startedAt };
          const body = JSON.stringify({ action: 'send', data: { prompt: 'hello' }, ...frame });
          const answer = (await rig.send[0]?.invoke({ requestContext, body })) as { body: string };
          return { ...JSON.parse(answer.body), tookMs: Date.now() - startedAt };
        };

        const running = rig.load();
        await running.acked(100);
        expect(new Set(table.requests.map((asked) => asked.table))).toEqual(new Set([table.tableName]));
        expect(await open(leaver)).toMatchObject({ statusCode: 200 });
        table.answer(how);
        rig.answer((connectionId) => (connectionId === leaver ? 410 : 200));
        const opening: ReturnType<typeof open>[] = [];
        for (const acked of [150, 250, 350, 450]) {
          await running.acked(acked);
          for (let n = 0; n < 10; n += 1) opening.push(open(`${acked}-${n}`));
        }
        const plain = await sendOne({});
        books.messages += 1;
        books.ack(plain.messageId, 'newcomer');
        const inSession = await sendOne({ session: `session_${'x'.repeat(22)}` });
        await running.done;
        const doneAt = Date.now();
        // Nothing waits until DynamoDB is well again.
        await rig.account();
        expect(books.lost()).toEqual([]);
        const behindMs = Date.now() - doneAt;
        const refused = await Promise.all(opening);

        const gaveUp = () => consumer.log.some(({ message }) => message?.startsWith('Could not remove the row'));
        while (!gaveUp()) await rig.account();

        table.answer('work');
        expect(await open('afterwards')).toMatchObject({ statusCode: 200 });
        expect(await table.rowOf('afterwards')).toBeDefined();
        // A row that was left behind goes with the next reply to its client.
        const messageId = 'too late';
        const correlationId = encodeCorrelation({ messageId, connectionId: leaver, clientId: null });
        await rig.reply([{ body: 'too late', connectionId: leaver, properties: { messageId, correlationId } }]);
        while ((await table.rowOf(leaver)) !== undefined) await rig.account();

        return (row) => {
          expect(refused.map(({ statusCode }) => statusCode)).toEqual(refused.map(() => 503));
          expect(Math.max(...refused.map(({ tookMs }) => tookMs))).toBeLessThan(wellWithinMs);
          expect(behindMs).toBeLessThan(soonMs);
          expect(plain).toMatchObject({ event: 'ack' });
          expect(plain.tookMs).toBeLessThan(atOnceMs);
          // Whoever means its session would rather send again than outside of it.
          expect(inSession).toMatchObject({ event: 'error', code: 'unavailable', retryable: true });
          expect(inSession.tookMs).toBeLessThan(wellWithinMs);
          expect(Object.fromEntries(books.refused)).toEqual({});
          expect(row).toMatchObject({ acked: row.messages, duplicated: 0, deadLettered: 0 });
          expect(row.gone).toBeGreaterThan(1);
          // Nobody's time was over.
          for (const each of [connect, consumer, ...rig.send]) expect(each.starts).toBe(1);
        };
      });
    }
  });
}
