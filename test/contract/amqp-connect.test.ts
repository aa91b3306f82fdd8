import { once } from 'node:events';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { buildFunctions } from '../../infra/build';
import { decodeMethod } from '../../infra/local/broker/codec';
import { FRAME_METHOD, FrameReader, frame } from '../../infra/local/broker/framing';
import type { MethodName } from '../../infra/local/broker/methods';
import { connect } from '../../lib/amqp-connect';
import { method, PROTOCOL_HEADER } from '../helpers/amqp-frames';
import { type FunctionProcess, functionProcess } from '../helpers/function-process';
import { root } from '../helpers/stack';
import { noTables } from '../helpers/table-api';

/** What a broker may say in one breath with its open-ok, when a client library has nobody to tell it to. */
const lastWords: Record<string, Buffer> = {
  'a fatal close': method(0, 'connection.close', { replyCode: 541, replyText: 'INTERNAL_ERROR' }),
  'a forced close': method(0, 'connection.close', { replyCode: 320, replyText: 'CONNECTION_FORCED' }),
  'a method that does not exist': frame(FRAME_METHOD, 0, Buffer.from([0, 99, 0, 99])),
  'a frame for a channel that is not open': method(7, 'channel.open-ok'),
  'bytes that are no frame': Buffer.alloc(64, 0xff),
};

const start = method(0, 'connection.start', {
  versionMinor: 9,
  mechanisms: Buffer.from('PLAIN'),
  locales: Buffer.from('en_US'),
});

describe('a broker that ends the connection as it opens it', () => {
  const sockets = new Set<Socket>();
  let server: Server;
  let send: FunctionProcess | undefined;

  beforeAll(() => buildFunctions(root), 60_000);
  afterEach(async () => {
    await send?.kill();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  const brokerSaying = async (words: Buffer): Promise<string> => {
    const answers: Partial<Record<MethodName, Buffer>> = {
      'connection.start-ok': method(0, 'connection.tune', { channelMax: 100, frameMax: 131_072, heartbeat: 30 }),
      'connection.open': Buffer.concat([method(0, 'connection.open-ok'), words]),
    };
    server = net.createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      const reader = new FrameReader(131_072);
      let greeted = false;
      socket.on('data', (chunk) => {
        reader.push(chunk);
        if (!greeted && reader.takeRaw(PROTOCOL_HEADER.length) === undefined) return;
        if (!greeted) socket.write(start);
        greeted = true;
        for (let next = reader.next(); next !== undefined; next = reader.next()) {
          const answer = answers[decodeMethod(next.payload).name];
          if (answer !== undefined) socket.write(answer);
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };

  test.each(Object.entries(lastWords))('costs no more than that connection: %s', async (_, words) => {
    const connection = await connect(await brokerSaying(words), { noDelay: true, timeout: 5000 });
    connection.on('error', () => undefined);
    await expect(connection.createChannel()).rejects.toThrow();
  });

  test('leaves the function alive, which tells the client so', async () => {
    const AMQP_URL = await brokerSaying(lastWords['a fatal close'] as Buffer);
    send = functionProcess('send', { env: { ...noTables, AMQP_URL }, timeoutMs: 5000 });
    const { body } = (await send.invoke({
      requestContext: { connectionId: 'c', eventType: 'MESSAGE', connectedAt: Date.now() },
      body: JSON.stringify({ action: 'send', data: {} }),
    })) as { body: string };
    expect(JSON.parse(body)).toMatchObject({ event: 'error', code: 'unavailable', retryable: true });
    expect(send.crashes).toBe(0);
  });
});
