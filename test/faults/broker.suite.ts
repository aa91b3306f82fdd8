import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { openChannel } from '../helpers/amqp';
import { type SecretsApi, startSecretsApi } from '../helpers/secrets-api';
import { fault, type TestBroker } from './faults';
import type { Load } from './load';
import type { Rig } from './rig';

/** What happens to a broker, and what its operator does to it, while the gateway is at work. */

export interface OperatedBroker extends TestBroker {
  /** At once. What it held is there again after `start`, if it has a disk. */
  kill(): Promise<void>;
  start(): Promise<void>;
  closeAllConnections(): Promise<void>;
  setMemoryAlarm(on: boolean): Promise<void>;
  /** Of the user `gateway`. */
  setPassword(password: string): Promise<void>;
}

/** What the broker takes at most, from its start. */
export const maxMessageBytes = 20_000;

export const gateway = { username: 'gateway', password: 'the first' };

/** Until the gateway has recovered. */
const endless = { messages: Number.POSITIVE_INFINITY, perSecond: 150 };

export function describeBrokerFaults(broker: OperatedBroker): void {
  describe(broker.name, () => {
    fault(broker, 'all connections closed', {}, async (rig) => {
      const running = rig.load(endless);
      for (let times = 0; times < 3; times += 1) {
        await running.acked(rig.books.acked.size + 150);
        await broker.closeAllConnections();
      }
      await recovery(running, rig);
      return (row) => {
        expect(rig.wire.connections).toBeGreaterThanOrEqual(5);
        expect(row.acked).toBe(row.messages);
      };
    });

    fault(broker, 'memory alarm for 3 s', {}, async (rig) => {
      const running = rig.load(endless);
      await running.acked(200);
      await broker.setMemoryAlarm(true);
      await sleep(3000);
      const refusedUnderAlarm = rig.books.refused.get('unavailable');
      await broker.setMemoryAlarm(false);
      await recovery(running, rig);
      return () => {
        // They did not wait for the end of the alarm.
        expect(refusedUnderAlarm).toBeGreaterThan(0);
        expect(refusals(rig)).toEqual(['unavailable']);
      };
    });

    fault(broker, 'starts after the gateway', { undeclared: true }, async (rig) => {
      await broker.kill();
      const running = rig.load(endless);
      while (rig.wire.connections < 3 * rig.send.length) await sleep(20);
      const ackedBefore = rig.books.acked.size;
      await broker.start();
      await rig.declare();
      await recovery(running, rig);
      return () => {
        expect(ackedBefore).toBe(0);
        expect(['unavailable', 'unroutable']).toEqual(expect.arrayContaining(refusals(rig)));
      };
    });

    fault(broker, 'wrong password for a while', { login: gateway }, async (rig) => {
      const running = rig.load(endless);
      await running.acked(200);
      await broker.setPassword('another');
      await broker.closeAllConnections();
      const refusedFrom = Date.now();
      await running.refused(200);
      const refusedWithinMs = Date.now() - refusedFrom;
      await broker.setPassword(gateway.password);
      await recovery(running, rig);
      return () => {
        // None waited for its deadline, which is near the timeout of the function.
        expect(refusedWithinMs).toBeLessThan(9000);
        expect(refusals(rig)).toEqual(['unavailable']);
        for (const { log } of rig.send) expect(JSON.stringify(log)).toContain('ACCESS-REFUSED');
      };
    });

    describe('with its password in Secrets Manager', () => {
      let secrets: SecretsApi;
      const env: Record<string, string> = {};
      beforeAll(async () => {
        secrets = await startSecretsApi(JSON.stringify(gateway));
        env.AMQP_SECRET_ARN = secrets.secretArn;
        env.AWS_ENDPOINT_URL_SECRETS_MANAGER = secrets.url;
      });
      afterAll(() => secrets.close());

      const login = { username: '', password: '' };
      fault(broker, 'password rotated', { env, login }, async (rig) => {
        const running = rig.load(endless);
        await running.acked(200);
        const fetches = secrets.requests;
        const password = 'the second';
        await broker.setPassword(password);
        await broker.closeAllConnections();
        // The secret is still the old one.
        await running.refused(100);
        secrets.secret = JSON.stringify({ ...gateway, password });
        await recovery(running, rig);
        await broker.setPassword(gateway.password);
        return () => {
          expect(fetches).toBeGreaterThanOrEqual(rig.send.length);
          expect(secrets.requests).toBeGreaterThanOrEqual(2 * fetches);
          expect(refusals(rig)).toEqual(['unavailable']);
        };
      });
    });

    const capacity = 100;
    const limited = { apiQueueArguments: { 'x-max-length': capacity, 'x-overflow': 'reject-publish' }, idle: true };
    fault(broker, 'queue full', limited, async (rig) => {
      const running = rig.load(endless);
      await running.refused(300);
      const ackedWhenFull = rig.books.acked.size;
      rig.work();
      await recovery(running, rig);
      return () => {
        expect(ackedWhenFull).toBe(capacity);
        expect(refusals(rig)).toEqual(['unavailable']);
      };
    });

    fault(broker, 'queue deleted and declared again', { service: 'reader', idle: true }, async (rig) => {
      const { books, queues, wire } = rig;
      const operator = await openChannel(broker.url());
      // Without acknowledgements, and on the operator's channel: when the queue is deleted, all that was in it is here.
      const read = () =>
        operator.channel.consume(
          queues.apiQueue,
          (message) => message !== null && books.arrive(message.properties.messageId),
          { noAck: true },
        );
      await read();
      const running = rig.load(endless);
      for (let times = 1; times <= 3; times += 1) {
        await running.acked(books.acked.size + 150);
        // RabbitMQ confirms even what it routes to a queue in the moment of its deletion.
        wire.disturb({ requests: 'hold' }, { future: true });
        await lull(rig);
        await operator.channel.deleteQueue(queues.apiQueue, { ifEmpty: true });
        wire.calm();
        await running.refused(50 * times);
        await rig.declare();
        await read();
      }
      await recovery(running, rig);
      await operator.close();
      rig.work();
      return (row) => {
        expect(refusals(rig)).toEqual(['unroutable']);
        expect(row.acked + (books.refused.get('unroutable') ?? 0)).toBe(row.messages);
      };
    });

    // Of either function some.
    const length = (n: number) => (n % 21 === 7 ? maxMessageBytes : 0);
    fault(broker, 'messages larger than it takes', {}, async (rig) => {
      await rig.load({ messages: 600, length }).done;
      return (row) => {
        expect(Object.fromEntries(rig.books.refused)).toEqual({ too_large: 29 });
        expect(row.acked).toBe(571);
        // Each function learns it from the broker, which ends the connection.
        expect(rig.wire.connections).toBeGreaterThanOrEqual(2 * rig.send.length);
      };
    });
  });
}

export interface DurableBroker extends OperatedBroker {
  /** Ends all connections in order and takes none, until it is resumed. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/** What only a broker with a disk survives. */
export function describeRestartFaults(broker: DurableBroker): void {
  describe(`${broker.name}, with its disk`, () => {
    fault(broker, 'killed -9 and restarted', {}, async (rig) => {
      // So that there are always some on their way.
      rig.wire.disturb({ latencyMs: 50 }, { future: true });
      const running = rig.load(endless);
      await running.acked(300);
      const { connections } = rig.wire;
      await broker.kill();
      await broker.start();
      await recovery(running, rig);
      return () => {
        expect(rig.wire.connections).toBeGreaterThan(connections);
        expect(['unavailable']).toEqual(expect.arrayContaining(refusals(rig)));
      };
    });

    fault(broker, 'stopped for 20 s', {}, async (rig) => {
      const running = rig.load({ ...endless, perSecond: 50 });
      await running.acked(100);
      await broker.pause();
      await sleep(20_000);
      await broker.resume();
      await recovery(running, rig);
      return () => expect(refusals(rig)).toEqual(['unavailable']);
    });
  });
}

/** The load goes on until the gateway acknowledges again, and ends. */
async function recovery(running: Load, { books }: Rig): Promise<void> {
  await running.acked(books.acked.size + 150);
  await running.answered(500);
  running.end();
  await running.done;
}

/** Nothing is answered any more. */
async function lull({ books }: Rig): Promise<void> {
  for (let before = -1; before !== books.answers; ) {
    before = books.answers;
    await sleep(100);
  }
}

function refusals({ books }: Rig): string[] {
  return [...books.refused.keys()];
}
