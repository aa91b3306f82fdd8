import { setTimeout as sleep } from 'node:timers/promises';
import type { ChannelModel } from 'amqplib';
import { type Broker, LoginError } from '../lib/credentials';
import { before } from '../lib/deadline';
import { dial, loggedIn } from '../lib/dial';
import { reasonOf } from '../lib/reason';
import type { QueueDeclaration } from './topology';

/**
 * Declares queues on a broker, and deletes them. Both change nothing when they are repeated, and end within a minute,
 * whatever the broker does: they reject when it cannot be reached or refuses, with LoginError when it refuses the login.
 */

export type Declared = 'declared' | 'kept';

/**
 * What exists stays. `kept` is a queue that exists with other arguments: it is used as it is, but a NestJS service that
 * declares it plain does not start.
 */
export async function declareQueues(
  broker: Broker,
  queues: readonly QueueDeclaration[],
): Promise<Map<string, Declared>> {
  return onBroker(broker, async (connection) => {
    const declare = async ({ name, ...options }: QueueDeclaration): Promise<[string, Declared]> => {
      // A refused declaration closes its channel, so each has its own.
      const channel = await connection.createChannel();
      channel.on('error', () => undefined);
      try {
        await channel.assertQueue(name, options);
      } catch (error) {
        if ((error as { code?: number }).code !== 406) throw error;
        return [name, 'kept'];
      }
      await channel.close();
      return [name, 'declared'];
    };
    return new Map(await Promise.all(queues.map(declare)));
  });
}

/** With what is in them; a queue that does not exist is no matter. */
export async function deleteQueues(broker: Broker, names: readonly string[]): Promise<void> {
  await onBroker(broker, async (connection) => {
    const channel = await connection.createChannel();
    channel.on('error', () => undefined);
    for (const name of names) await channel.deleteQueue(name);
    return channel.close();
  });
}

const pauseMs = 1000;

/** A login that is refused may be granted a moment later: new passwords, and rights of new roles, take seconds to be known. */
const refusedMs = 10_000;

/**
 * Repeats what a broker does not do yet, for the name of a new one takes minutes to be known; a refused login for some
 * seconds only. Rejects with the last reason, at `deadline` (milliseconds since 1970) or before.
 */
export async function patiently<T>(
  work: () => Promise<T>,
  deadline: number,
  onNewReason: (error: unknown) => void,
): Promise<T> {
  let refusedSince: number | undefined;
  let last: unknown = new Error('the broker did not answer in time');
  while (Date.now() < deadline) {
    const attempt = await before(deadline, settled(work()));
    if (attempt?.status === 'fulfilled') return attempt.value;
    if (attempt === undefined) break;
    if (reasonOf(attempt.reason) !== reasonOf(last)) onNewReason(attempt.reason);
    last = attempt.reason;
    if (last instanceof LoginError) refusedSince ??= Date.now();
    if (refusedSince !== undefined && Date.now() - refusedSince >= refusedMs) break;
    await sleep(Math.min(pauseMs, Math.max(0, deadline - Date.now())));
  }
  throw last;
}

async function settled<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

const openMs = 5000;
const workMs = 20_000;
const goodbyeMs = 1000;

async function onBroker<T>({ url, credentials }: Broker, work: (connection: ChannelModel) => Promise<T>): Promise<T> {
  const { connection, destroy } = await loggedIn(credentials, (login) =>
    dial({ url, login, openTimeoutMs: openMs, heartbeatSeconds: 30 }),
  );
  try {
    // In amqplib a call may wait for ever, if the connection ends at the wrong moment.
    const result = await before(Date.now() + workMs, settled(work(connection)));
    if (result === undefined) throw new Error('the broker did not answer in time');
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  } finally {
    await before(Date.now() + goodbyeMs, settled(connection.close()));
    destroy();
  }
}
