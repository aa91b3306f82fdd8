import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { secretCredentials } from '../../lib/credentials';
import type { GatewayError } from '../../lib/errors';
import { AmqpPublisher } from '../../lib/publisher';
import { openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import type { BrokerWithUser } from '../helpers/broker-with-user';
import { type SecretsAnswer, type SecretsApi, startSecretsApi } from '../helpers/secrets-api';
import { startWire, type Wire } from '../helpers/wire';

/** How the publisher logs in, on any broker. */
export function describeCredentials(name: string, startBroker: (user: string) => Promise<BrokerWithUser>): void {
  describe(`the credentials of the publisher on ${name}`, () => {
    const { wsQueue: queue } = queueNames();
    const user = `us@r:ü/${queue}`;
    const secretOf = (password: string) => JSON.stringify({ username: user, password });
    let broker: BrokerWithUser;
    let password: string | undefined;
    let client: TestChannel;
    let wire: Wire;
    let api: SecretsApi;
    let publisher: AmqpPublisher;

    // rabbitmqctl takes seconds.
    const setPassword = async (next: string) => {
      if (next !== password) await broker.setPassword(next);
      password = next;
    };

    beforeAll(async () => {
      broker = await startBroker(user);
      client = await openChannel(broker.url);
      await client.channel.assertQueue(queue, { durable: true });
    });
    beforeEach(async () => {
      await setPassword('first');
      const { port } = new URL(broker.url);
      wire = await startWire(`amqp://127.0.0.1:${port}`);
      api = await startSecretsApi(secretOf('first'));
      const credentials = secretCredentials(api.secretArn, {
        endpoint: api.url,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      });
      publisher = new AmqpPublisher({ url: wire.url, credentials });
    });
    afterEach(async () => {
      await publisher.close();
      await api.close();
      await wire.close();
    });
    afterAll(async () => {
      await client.channel.deleteQueue(queue);
      await client.close();
      await broker.close();
    });

    const message = { queue, body: Buffer.from('x'), properties: {} };
    const inTime = () => Date.now() + 8000;
    /** Beyond the time of the test: whoever is refused before has not waited for it. */
    const late = () => Date.now() + 60_000;
    const publish = (deadline = inTime()) => publisher.publish(message, deadline);
    const refusal = (publishing: Promise<void>): Promise<GatewayError> =>
      publishing.then(
        () => {
          throw new Error('it was taken');
        },
        (error) => error,
      );
    const unavailable = { code: 'unavailable', retryable: true };

    test('reads the secret once, however many wait for it and however many links follow', async () => {
      await Promise.all([publish(), publish(), publish()]);
      wire.reset();
      await publish();
      expect(wire.connections).toBe(2);
      expect(api.requests).toBe(1);
    });

    test.each(['%40 /:@?#', 'pässwörd \u{1f511}', '"\\\'$&+'])('logs in with any password: %p', async (odd) => {
      await setPassword(odd);
      api.secret = secretOf(odd);
      await publish();
      const { host } = new URL(wire.url);
      const url = `amqp://${encodeURIComponent(user)}:${encodeURIComponent(odd)}@${host}`;
      const byUrl = new AmqpPublisher({ url });
      await byUrl.publish(message, inTime());
      await byUrl.close();
    });

    test('goes on with the new password where it was rotated', async () => {
      await publish();
      await setPassword('second');
      api.secret = secretOf('second');
      // The link outlives the password.
      await publish();
      expect(api.requests).toBe(1);
      wire.reset();
      await Promise.all([publish(), publish()]);
      expect(api.requests).toBe(2);
    });

    test('says unavailable at once where the broker goes on refusing, and asks neither it nor the secret again and again', async () => {
      await publish();
      await setPassword('unknown');
      wire.reset();
      expect(await refusal(publish(late()))).toMatchObject(unavailable);
      expect(await refusal(publish(late()))).toMatchObject(unavailable);
      expect(api.requests).toBe(2);
      // One login for each message: a secret that is what it was is no reason for another.
      expect(wire.connections).toBe(3);
      await setPassword('first');
      await publish();
    });

    test('says unavailable at once where the broker refuses what stands in the URL', async () => {
      const { host } = new URL(wire.url);
      const stranger = new AmqpPublisher({ url: `amqp://stranger:hunter2@${host}` });
      const error = await refusal(stranger.publish(message, late()));
      expect(error).toMatchObject(unavailable);
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
      expect(wire.connections).toBe(1);
      await stranger.close();
    });

    test.each<SecretsAnswer>([
      { status: 400, error: 'AccessDeniedException' },
      { status: 400, error: 'ResourceNotFoundException' },
    ])('says unavailable at once where the secret is refused, until it is not: %p', async (answer) => {
      api.answer(answer);
      const error = await refusal(publish(late()));
      expect(error).toMatchObject(unavailable);
      expect((error.cause as Error).message).toMatch(/secret/);
      expect(wire.connections).toBe(0);
      api.answer('work');
      await publish();
    });

    test.each<SecretsAnswer>([
      { status: 400, error: 'ThrottlingException' },
      { status: 500, error: 'InternalServiceError' },
      'hang',
    ])('asks again for the secret as long as there is time, where a moment may mend it: %p', async (answer) => {
      api.answer(answer);
      const error = await refusal(publish(Date.now() + 300));
      expect(error).toMatchObject(unavailable);
      expect(wire.connections).toBe(0);
      const publishing = publish();
      api.answer('work');
      await publishing;
    });

    test.each(['hunter2', '{"username":"hunter2"}', '["hunter2"]', ''])(
      'says unavailable where the secret is not of the form, and does not tell what is in it: %p',
      async (secret) => {
        api.secret = secret;
        const error = await refusal(publish(late()));
        expect(error).toMatchObject(unavailable);
        expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
        api.secret = secretOf('first');
        await publish();
      },
    );

    test('gives up an answer that does not come to its end, and asks again', async () => {
      api.answer('stall');
      expect(await refusal(publish(Date.now() + 300))).toMatchObject(unavailable);
      api.answer('work');
      // The answer that stalls is waited for as long as for any, and no longer.
      await publish();
      expect(api.requests).toBeGreaterThan(1);
    });

    test('keeps its deadline where Secrets Manager does not answer', async () => {
      api.answer('hang');
      const deadline = Date.now() + 300;
      expect(await refusal(publish(deadline))).toMatchObject(unavailable);
      // Below the time of its first attempt, which is a second.
      expect(Date.now() - deadline).toBeLessThan(600);
    });
  });
}
