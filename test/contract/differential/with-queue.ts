import type { Script } from './script';
import type { ScriptChannel } from './script-connection';
import type { Plain } from './values';

/** How many a scenario begins, and how it looks at what is left. */

/** A channel and a queue with these messages. */
export async function withQueue(
  script: Script,
  ...bodies: string[]
): Promise<{ channel: ScriptChannel; queue: string }> {
  const channel = await script.open();
  const queue = script.name('q');
  await channel.call('queue.declare', { queue });
  for (const body of bodies) channel.publish({ routingKey: queue, body });
  return { channel, queue };
}

/** A channel that holds these messages, with the tags from 1 on. */
export async function holding(script: Script, ...bodies: string[]): Promise<{ channel: ScriptChannel; queue: string }> {
  const { channel, queue } = await withQueue(script, ...bodies);
  for (const _ of bodies) await channel.call('basic.get', { queue });
  return { channel, queue };
}

/** A channel that asks for confirms, and a quorum queue. */
export async function withQuorumQueue(
  script: Script,
  args: { readonly [name: string]: Plain } = {},
): Promise<{ channel: ScriptChannel; queue: string }> {
  const channel = await script.open();
  const queue = script.name('q');
  await channel.call('queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'quorum', ...args } });
  await channel.call('confirm.select');
  return { channel, queue };
}

/** Publishes on a channel that asks for confirms, and takes them. */
export async function publishConfirmed(
  channel: ScriptChannel,
  queue: string,
  bodies: readonly string[],
): Promise<void> {
  for (const body of bodies) channel.publish({ routingKey: queue, body });
  await channel.confirms(bodies.length);
}

/** Takes that many dead letters out of the queue with this base of a name, and sees to it that there are no more. */
export async function letters(channel: ScriptChannel, script: Script, count: number, queue = 'dead'): Promise<void> {
  await channel.call('basic.consume', { queue: script.name(queue), consumerTag: queue, noAck: true });
  await channel.deliveries(count);
  await channel.nothing();
}

/** Takes all that is in the queue. */
export async function drain(channel: ScriptChannel, queue: string): Promise<void> {
  let got = await channel.call('basic.get', { queue, noAck: true });
  while (got?.method.name === 'basic.get-ok') got = await channel.call('basic.get', { queue, noAck: true });
}
