import { describe, expect, test } from '@jest/globals';
import { startBroker } from '../../infra/local/broker/broker';
import { startMapping } from '../../infra/local/event-source/mapping';
import { openChannel } from '../helpers/amqp';
import { describeEventSource } from './event-source.suite';

describeEventSource('the embedded broker', () => startBroker({ port: 0 }));

describe('the event source mapping', () => {
  test('finds the broker again after its restart', async () => {
    const first = await startBroker({ port: 0 });
    const lines: string[] = [];
    let onEvent: () => void = () => undefined;
    const invoked = () =>
      new Promise<void>((resolve) => {
        onEvent = resolve;
      });
    const mapping = startMapping(
      { functionKey: 'f', queue: 'q', virtualHost: '/', batchSize: 1, windowMs: 0, eventSourceArn: 'arn' },
      { url: first.url, backOffMs: 20, report: (line) => lines.push(line), invoke: async () => onEvent() },
    );
    const send = async (url: string) => {
      const { channel, close } = await openChannel(url);
      await channel.assertQueue('q', { durable: true });
      channel.sendToQueue('q', Buffer.from('x'));
      await close();
    };
    let event = invoked();
    await send(first.url);
    await event;

    await first.close();
    const second = await startBroker({ port: first.port });
    event = invoked();
    await send(second.url);
    await event;
    expect(lines.join('\n')).toContain('lost the broker');
    await mapping.close();
    await second.close();
  });
});
