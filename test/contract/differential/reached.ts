import type { ScriptChannel } from './script-connection';

/**
 * Empties the queues and writes how many messages were in each; what the channel published before has reached them by
 * then. A channel that was closed instead says so.
 */
export async function reached(channel: ScriptChannel, queues: readonly string[]): Promise<void> {
  const counts: string[] = [];
  const { wire } = channel.connection;
  for (const queue of queues) {
    wire.send(channel.number, 'queue.purge', { queue });
    const answer = await wire.take(({ method }) => /^queue.purge-ok|\.close$/.test(method.name));
    if (answer?.method.name !== 'queue.purge-ok') throw new Error(`${answer?.method.name} came instead of a count`);
    const { messageCount } = answer.method.args;
    if (messageCount > 0) counts.push(messageCount === 1 ? queue : `${queue} (${messageCount})`);
  }
  channel.connection.record(`reached: ${counts.join(', ') || 'none'}`);
}
