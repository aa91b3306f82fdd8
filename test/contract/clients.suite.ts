import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { amqplib } from '../clients/amqplib';
import { cloudamqp } from '../clients/cloudamqp';
import { connectionManager } from '../clients/connection-manager';
import {
  CONVERSATION_MS,
  type Conversation,
  expectedTranscript,
  inbox,
  noQueue,
  notTransient,
  type Setting,
  type Transcript,
  WRONG_PASSWORD,
} from '../clients/conversation';
import { amqp091, pikaAsyncio, pikaBlocking } from '../clients/programs';
import { rabbitmqClient } from '../clients/rabbitmq-client';
import { reconnectingConnectionManager, reconnectingRabbitmqClient } from '../clients/reconnecting';
import { openChannel } from '../helpers/amqp';
import { buildNest } from '../helpers/nest';
import { type Overheard, startWiretap, type Wiretap } from '../helpers/wiretap';

/**
 * Other people's clients, as they are: each holds the same conversation (test/clients/conversation.ts) and must see the
 * same, whichever broker answers. Those that have ways of their own show these as well.
 */

const run = promisify(execFile);
const TEST_MS = CONVERSATION_MS + 30_000;

/** Clients that npm installs. */
export function describeClients(broker: string, url: () => string): void {
  describeConversation('amqplib', amqplib, broker, url);
  describeConversation('amqp-connection-manager', connectionManager, broker, url);
  describeConversation('rabbitmq-client', rabbitmqClient, broker, url);
  describeConversation('@cloudamqp/amqp-client', cloudamqp, broker, url);
  describeReconnection(broker, url);
  describeNest(broker, url);
}

/** Clients in other languages, as Debian packages them. */
export function describeDebianClients(broker: string, url: () => string): void {
  describeConversation("pika's BlockingConnection", pikaBlocking, broker, url);
  describeConversation("pika's AsyncioConnection", pikaAsyncio, broker, url);
  // This one does not ask to be told (the capability authentication_failure_close), and guesses from the hang-up.
  describeConversation('amqp091-go', amqp091, broker, url, { words: 'username or password not allowed', codes: [] });
  describeTools(broker, url);
}

function describeConversation(
  client: string,
  converse: Conversation,
  broker: string,
  url: () => string,
  wrongPassword = { words: WRONG_PASSWORD, codes: [403] },
): void {
  describe(`${client} on ${broker}`, () => {
    let wire: Wiretap;
    let setting: Setting;
    let seen: Transcript;
    let expected: Omit<Transcript, 'wrongPassword'>;
    let refused: Overheard;
    let overheard: Overheard;

    beforeAll(async () => {
      wire = await startWiretap(url());
      setting = settingOn(wire.url);
      expected = expectedTranscript(setting);
      const over = converse(setting);
      // Idle, it waits for the last message; both sides have to show that they are there.
      const idle = wire.until((connections) =>
        connections.some(({ heartbeats }) => heartbeats.ofClient > 0 && heartbeats.ofBroker > 0),
      );
      await Promise.race([idle, over.then(() => idle)]);
      await publish(url(), '', setting.queue, 'goodbye');
      seen = await over;
      await wire.until((connections) => connections[1]?.end === 'goodbye');
      [refused, overheard] = wire.connections as [Overheard, Overheard];
    }, TEST_MS);

    afterAll(async () => {
      await wire.close();
      await sweep(url(), [setting.queue], setting.exchange);
    });

    test('is refused with a wrong password', () => {
      expect(seen.wrongPassword).toContain(wrongPassword.words);
      expect(refused.refusals).toEqual(wrongPassword.codes);
    });

    test('declares, and deletes what it has declared', () => {
      expect([seen.declared, seen.deleted]).toEqual([expected.declared, expected.deleted]);
    });

    test('has what it publishes confirmed, and what nothing takes returned', () => {
      expect(overheard.confirms).toBe(2);
      expect(seen.returned).toEqual(expected.returned);
    });

    test('consumes a message, and again, marked, once it is requeued', () => {
      expect(seen.deliveries).toEqual(expected.deliveries);
    });

    test('loses a channel, not its connection, by an error', () => {
      expect(seen.missingQueue).toBe(expected.missingQueue);
      expect(seen.otherArguments).toBe(expected.otherArguments);
      expect(overheard.refusals).toEqual([404, 406]);
      expect(seen.stillThere).toEqual(expected.stillThere);
    });

    test('agrees on a heartbeat, and keeps its connection while it has nothing to say', () => {
      expect(overheard.heartbeatSeconds).toBe(setting.heartbeatSeconds);
      expect(seen.last).toBe(expected.last);
    });

    test('closes in good order', () => {
      expect(wire.connections).toHaveLength(2);
      expect(overheard.end).toBe('goodbye');
    });
  });
}

function describeReconnection(broker: string, url: () => string): void {
  const clients = {
    'amqp-connection-manager': reconnectingConnectionManager,
    'rabbitmq-client': reconnectingRabbitmqClient,
  };
  describe.each(Object.entries(clients))(`%s on ${broker}`, (_, connect) => {
    const queue = unique();
    afterAll(() => sweep(url(), [queue]));

    test(
      'goes on publishing and consuming after the broker has closed its connection',
      async () => {
        const wire = await startWiretap(url());
        const client = connect(wire.url);
        const bodies = inbox<string>();
        try {
          await client.consume(queue, bodies.put);
          await client.publish(queue, 'before');
          expect(await bodies.next()).toBe('before');
          await client.offend(queue);
          await client.publish(queue, 'after');
          expect(await bodies.next()).toBe('after');
          expect(wire.connections.map(({ refusals }) => refusals)).toEqual([[530], []]);
        } finally {
          await client.close();
          await wire.close();
        }
      },
      TEST_MS,
    );
  });
}

function describeNest(broker: string, url: () => string): void {
  describe(`NestJS on ${broker}`, () => {
    const [queue, patternQueue] = [unique(), unique()];
    let seen: Record<string, unknown>;

    beforeAll(async () => {
      const { url: AMQP_URL, wrongPasswordUrl: WRONG_PASSWORD_URL } = settingOn(url());
      const queues = { QUEUE: queue, PATTERN_QUEUE: patternQueue, EXCHANGE: patternQueue };
      const { stdout } = await run(process.execPath, [await buildNest('round-trip')], {
        env: { ...process.env, AMQP_URL, WRONG_PASSWORD_URL, ...queues },
        timeout: CONVERSATION_MS,
      });
      seen = JSON.parse(stdout);
    }, TEST_MS);

    afterAll(() => sweep(url(), [queue, patternQueue], patternQueue));

    test('is refused with a wrong password, and told so', () => {
      expect(seen.wrongPassword).toContain(WRONG_PASSWORD);
    });

    test('has its requests answered, with results and with errors', () => {
      expect(seen).toMatchObject({
        sum: 6,
        failed: 'the service failed',
        unknown: 'There is no matching message handler defined in the remote service.',
      });
    });

    test.each([
      ['note', 'note', 'by its queue'],
      ['log', 'log.error', 'by an exchange'],
    ])('hands on an event, and again, marked, once it is requeued: %s', (name, pattern, text) => {
      const first = { pattern, text, redelivered: false };
      expect(seen[name]).toEqual([first, { ...first, redelivered: true }]);
    });
  });
}

/** The commands of amqp-tools: a connection each, and so no channel that could be lost, no confirm and no return. */
function describeTools(broker: string, url: () => string): void {
  describe(`amqp-tools on ${broker}`, () => {
    const queue = unique();
    let wire: Wiretap;

    beforeAll(async () => {
      wire = await startWiretap(url());
    });

    afterAll(async () => {
      await wire.close();
      await sweep(url(), [queue]);
    });

    const tool = async (name: string, ...args: string[]) => {
      const { stdout } = await run(`/usr/bin/${name}`, ['--url', wire.url, '--queue', queue, ...args]);
      return stdout.trim();
    };

    test('are refused with a wrong password, and told so', async () => {
      const { wrongPasswordUrl } = settingOn(wire.url);
      const attempt = run('/usr/bin/amqp-get', ['--url', wrongPasswordUrl, '--queue', queue]);
      await expect(attempt).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(WRONG_PASSWORD) });
    });

    test('declare, publish, get and delete', async () => {
      expect(await tool('amqp-declare-queue', '--durable')).toBe(queue);
      for (const body of ['Grüße', 'left over']) {
        await run('/usr/bin/amqp-publish', ['--url', wire.url, '--routing-key', queue, '--body', body]);
      }
      expect(await tool('amqp-get')).toBe('Grüße');
      expect(await tool('amqp-delete-queue')).toBe('1');
      await wire.until((connections) => connections.slice(-5).every(({ end }) => end === 'goodbye'));
    });

    test('tell an empty queue from one that is not there', async () => {
      await expect(tool('amqp-get')).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining(noQueue(queue)),
      });
      await tool('amqp-declare-queue', '--durable');
      await expect(tool('amqp-get')).rejects.toMatchObject({ code: 2 });
    });

    test('are refused a queue that is declared with other arguments', async () => {
      await tool('amqp-declare-queue', '--durable');
      const stderr = expect.stringContaining(notTransient(queue));
      await expect(tool('amqp-declare-queue')).rejects.toMatchObject({ code: 1, stderr });
    });

    test('leave to the next what their command has failed on', async () => {
      await tool('amqp-declare-queue', '--durable');
      await publish(url(), '', queue, 'again');
      // Reads all, and fails.
      await tool('amqp-consume', '--count', '1', 'grep', 'nothing');
      expect(await tool('amqp-get')).toBe('again');
    });

    test('consume what comes by a binding, after a while without a word', async () => {
      const own = unique();
      const binding = ['--exclusive', '--exchange', 'amq.topic', '--routing-key', `${own}.#`];
      const options = ['--url', wire.url, '--queue', own, ...binding, '--heartbeat', '2', '--count', '1'];
      const consumed = run('/usr/bin/amqp-consume', [...options, 'cat'], { timeout: CONVERSATION_MS });
      const idle = wire.until((connections) => connections.some(({ heartbeats }) => heartbeats.ofBroker > 0));
      await Promise.race([idle, consumed]);
      await publish(url(), 'amq.topic', `${own}.goodbye`, 'goodbye');
      expect((await consumed).stdout).toBe('goodbye');
    });
  });
}

const unique = () => `clients.${randomBytes(4).toString('hex')}`;

function settingOn(url: string): Setting {
  const name = unique();
  const wrong = new URL(url);
  wrong.password = 'wrong';
  return {
    url,
    wrongPasswordUrl: wrong.href,
    heartbeatSeconds: 2,
    exchange: name,
    queue: name,
    missingQueue: `${name}.missing`,
    routingKey: 'greeting',
    message: { body: 'Grüße', contentType: 'text/plain', messageId: 'm-1', headers: { language: 'de' } },
  };
}

async function publish(url: string, exchange: string, routingKey: string, body: string): Promise<void> {
  const { channel, close } = await openChannel(url);
  channel.publish(exchange, routingKey, Buffer.from(body));
  await close();
}

/** What a client that broke off has left; what is gone is no matter. */
async function sweep(url: string, queues: string[], exchange?: string): Promise<void> {
  const { channel, close } = await openChannel(url);
  for (const queue of queues) await channel.deleteQueue(queue);
  if (exchange !== undefined) await channel.deleteExchange(exchange);
  await close();
}
