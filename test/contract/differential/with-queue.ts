import type { Script } from './script';
import type { ScriptChannel } from './script-connection';

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

/** Takes all that is in the queue. */
export async function drain(channel: ScriptChannel, queue: string): Promise<void> {
  let got = await channel.call('basic.get', { queue, noAck: true });
  while (got?.method.name === 'basic.get-ok') got = await channel.call('basic.get', { queue, noAck: true });
}
