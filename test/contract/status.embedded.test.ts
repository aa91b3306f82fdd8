import { describe, expect, test } from '@jest/globals';
import { startBroker } from '../../infra/local/broker/broker';
import { brokerStatus } from '../../infra/local/status';
import { freePorts } from '../helpers/ports';
import { describeStatus } from './status.suite';

describeStatus('the embedded broker', () => startBroker({ port: 0 }));

describe('the status of a broker', () => {
  test('that is not there is a word about it', async () => {
    const [port] = await freePorts(1);
    const status = brokerStatus(`amqp://guest:guest@127.0.0.1:${port}`, ['a', 'b', 'b.dead']);
    expect(await status.read()).toEqual({ error: expect.stringContaining('ECONNREFUSED') });
    await status.close();
  });
});
