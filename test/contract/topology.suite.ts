import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Options } from 'amqplib';
import { buildFunctions } from '../../infra/build';
import { topology } from '../../infra/topology';
import { deleteQueues, openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import { type Answer, type AnswerBucket, startAnswerBucket } from '../helpers/answer-bucket';
import type { BrokerWithUser } from '../helpers/broker-with-user';
import { awsEnvironment, type FunctionProcess, functionProcess } from '../helpers/function-process';
import { freePorts } from '../helpers/ports';
import { type SecretsApi, startSecretsApi } from '../helpers/secrets-api';
import { root } from '../helpers/stack';
import { startWire } from '../helpers/wire';

/** The custom resource as it is deployed, between a broker, Secrets Manager and the bucket of CloudFormation. */
export function describeTopology(name: string, startBroker: (user: string) => Promise<BrokerWithUser>): void {
  describe(`the topology as a resource of CloudFormation, on ${name}`, () => {
    const user = `us@r:ü/${queueNames().wsQueue}`;
    const password = 'pässwörd %40';
    const secretOf = (word: string) => JSON.stringify({ username: user, password: word });
    let broker: BrokerWithUser;
    /** Without credentials. */
    let url: string;
    let client: TestChannel;
    let names: ReturnType<typeof queueNames>;
    let api: SecretsApi;
    let bucket: AnswerBucket;
    let functions: Map<string, FunctionProcess>;
    let opened: { close(): Promise<void> | void }[];

    beforeAll(async () => {
      await buildFunctions(root);
      broker = await startBroker(user);
      await broker.setPassword(password);
      const { host } = new URL(broker.url);
      url = `amqp://${host}`;
    });
    beforeEach(async () => {
      client = await openChannel(broker.url);
      names = queueNames();
      api = await startSecretsApi(secretOf(password));
      bucket = await startAnswerBucket();
      functions = new Map();
      opened = [];
    });
    afterEach(async () => {
      const logs = JSON.stringify([...functions.values()].map(({ log }) => log));
      for (const secret of [bucket.signature, password, 'hunter2']) expect(logs).not.toContain(secret);
      for (const one of functions.values()) await one.kill();
      for (const each of opened) await each.close();
      await bucket.close();
      await api.close();
      await deleteQueues(broker.url, ...ofShards(3));
      await client.close();
    });
    afterAll(() => broker.close());

    const ofShards = (replyShards: number) => topology({ ...names, replyShards }).map((queue) => queue.name);
    const secretsEnv = () => ({ AMQP_SECRET_ARN: api.secretArn, AWS_ENDPOINT_URL_SECRETS_MANAGER: api.url });

    /** One process for each environment, as Lambda has it. */
    function deployed(env: Record<string, string> = {}, timeoutMs = 60_000): FunctionProcess {
      const key = JSON.stringify([env, timeoutMs]);
      const process =
        functions.get(key) ??
        functionProcess('topology', { env: { ...names.env, AMQP_URL: url, ...secretsEnv(), ...env }, timeoutMs });
      functions.set(key, process);
      return process;
    }

    const event = (RequestType: string, { properties = {}, ResponseURL = bucket.url } = {}) => ({
      RequestType,
      ResponseURL,
      StackId: 'arn:aws:cloudformation:eu-west-1:123456789012:stack/ws-gateway-dev/1c2fa620',
      RequestId: `${RequestType}-1`,
      LogicalResourceId: 'Topology',
      ...(RequestType === 'Create' ? {} : { PhysicalResourceId: 'topology-1' }),
      ResourceProperties: { ServiceToken: 'arn', Queues: ofShards(1), DeleteQueues: 'false', ...properties },
    });

    /** What CloudFormation is told. */
    async function request(
      type: string,
      env: Record<string, string> = {},
      options: { properties?: object; timeoutMs?: number } = {},
    ): Promise<Answer> {
      const own = await startAnswerBucket();
      opened.push(own);
      await deployed(env, options.timeoutMs).invoke(
        event(type, { properties: options.properties ?? {}, ResponseURL: own.url }),
      );
      return own.answer();
    }

    async function exists(queue: string): Promise<boolean> {
      const { channel, close } = await openChannel(broker.url);
      const found = await channel.checkQueue(queue).then(
        () => true,
        (error) => {
          if (error.code !== 404) throw error;
          return false;
        },
      );
      await close();
      return found;
    }
    const existing = async (queues: string[]) => (await Promise.all(queues.map(exists))).map(Number).join('');
    /** As a NestJS service does. */
    const assertPlain = (queue: string) => client.channel.assertQueue(queue, { durable: true, arguments: {} });
    const assertOdd = (queue: string, options: Options.AssertQueue) =>
      client.channel.assertQueue(queue, { durable: true, ...options });

    test('declares the queues, which services can declare too', async () => {
      expect(await request('Create')).toEqual({
        Status: 'SUCCESS',
        StackId: event('Create').StackId,
        RequestId: 'Create-1',
        LogicalResourceId: 'Topology',
        PhysicalResourceId: expect.stringContaining('Topology'),
        Data: { Declared: ofShards(1).join(', '), Kept: '' },
      });
      for (const queue of ofShards(1)) await assertPlain(queue);
      expect(await exists(`${names.wsQueue}.1`)).toBe(false);
    });

    test('declares them when it is invoked by hand, and says so', async () => {
      expect(await deployed().invoke({})).toEqual({ Declared: ofShards(1).join(', '), Kept: '' });
      expect(await existing(ofShards(1))).toBe('111');
    });

    test('changes nothing where it runs again, and a shard more is one queue more', async () => {
      await request('Create', { REPLY_SHARDS: '2' });
      for (const queue of ofShards(2)) client.channel.sendToQueue(queue, Buffer.from('x'), { persistent: true });
      expect(await request('Create', { REPLY_SHARDS: '2' })).toMatchObject({ Status: 'SUCCESS' });
      expect(await exists(`${names.wsQueue}.2`)).toBe(false);
      expect(await request('Update', { REPLY_SHARDS: '3' })).toMatchObject({
        Status: 'SUCCESS',
        PhysicalResourceId: 'topology-1',
        Data: { Declared: ofShards(3).join(', '), Kept: '' },
      });
      const counts = await Promise.all(ofShards(3).map((queue) => client.channel.checkQueue(queue)));
      expect(counts.map(({ messageCount }) => messageCount)).toEqual([1, 1, 1, 0, 1]);
    });

    test('leaves the queues that are not needed any more, for replies may lie in them', async () => {
      await request('Create', { REPLY_SHARDS: '3' });
      expect(await request('Update', { REPLY_SHARDS: '1' })).toMatchObject({ Status: 'SUCCESS' });
      expect(await existing(ofShards(3))).toBe('11111');
    });

    test('keeps queues that exist with arguments or flags of their own, and names them', async () => {
      await assertOdd(names.wsQueue, { arguments: { 'x-message-ttl': 60_000 } });
      await assertOdd(names.apiQueue, { durable: false });
      const { Status, Data } = await request('Create');
      expect(Status).toBe('SUCCESS');
      expect(Data).toEqual({ Declared: `${names.wsQueue}.dead`, Kept: `${names.apiQueue}, ${names.wsQueue}` });
      const warned = deployed()
        .log.filter(({ level }) => level === 'WARN')
        .map(({ queue }) => queue);
      expect(warned).toEqual([names.apiQueue, names.wsQueue]);
    });

    test('declares as many queues as there can be, of the longest names, and its answer is not too long', async () => {
      const [API_QUEUE, WS_QUEUE] = ['a', 'w'].map((letter) => `${names.wsQueue}${letter.repeat(220)}`) as [
        string,
        string,
      ];
      const all = topology({ apiQueue: API_QUEUE, wsQueue: WS_QUEUE, replyShards: 32 }).map((queue) => queue.name);
      opened.push({ close: () => deleteQueues(broker.url, ...all) });
      expect(await request('Create', { API_QUEUE, WS_QUEUE, REPLY_SHARDS: '32' })).toMatchObject({ Status: 'SUCCESS' });
      expect(await existing(all)).toBe('1'.repeat(34));
    });

    test('waits for a broker that comes up late', async () => {
      const late = await startLateBroker();
      const create = request('Create', { AMQP_URL: late.url });
      await late.refused;
      late.comeUp();
      expect(await create).toMatchObject({ Status: 'SUCCESS' });
      expect(await existing(ofShards(1))).toBe('111');
    });

    test('tells why, in time, where the broker is not reached', async () => {
      const [port] = await freePorts(1);
      const wire = await startWire(broker.url);
      opened.push(wire);
      wire.disturb({ answers: 'hold' }, { future: true });
      // All but two seconds of it is kept for the answer.
      const timeoutMs = 23_000;
      const [refused, silent, longSilent, unknown] = await Promise.all([
        request('Create', { AMQP_URL: `amqp://127.0.0.1:${port}` }, { timeoutMs }),
        request('Create', { AMQP_URL: `amqp://${new URL(wire.url).host}` }, { timeoutMs }),
        request('Create', { AMQP_URL: `amqp://${new URL(wire.url).host}` }, { timeoutMs: timeoutMs + 5000 }),
        request('Create', { AMQP_URL: `${url}/no-such-host` }, { timeoutMs }),
      ]);
      expect(refused).toMatchObject({ Status: 'FAILED', Reason: `connect ECONNREFUSED 127.0.0.1:${port}` });
      expect(silent).toMatchObject({ Status: 'FAILED', Reason: 'the broker did not answer in time' });
      expect(longSilent).toMatchObject({ Status: 'FAILED', Reason: 'no answer from the broker within 5000 ms' });
      expect(unknown).toMatchObject({ Status: 'FAILED', Reason: 'no such virtual host, or not for this user' });
    });

    test('gives up a login that is refused for ten seconds, though it has a minute', async () => {
      const deniedApi = await startSecretsApi('');
      opened.push(deniedApi);
      deniedApi.answer({ status: 400, error: 'AccessDeniedException' });
      api.secret = secretOf('hunter2');
      const [wrong, denied] = await Promise.all([
        request('Create'),
        request('Create', { AWS_ENDPOINT_URL_SECRETS_MANAGER: deniedApi.url }),
      ]);
      expect(wrong).toMatchObject({
        Status: 'FAILED',
        Reason: expect.stringMatching(/^The broker refuses the credentials of the gateway\. \(.*ACCESS-REFUSED/),
      });
      expect(denied).toMatchObject({
        Status: 'FAILED',
        Reason: 'The secret with the credentials of the broker cannot be read. (as the test wants it)',
      });
      expect(JSON.stringify([wrong, denied])).not.toContain('hunter2');
      // Both were asked for again, for what is wrong now may be right a moment later.
      expect(api.requests).toBeGreaterThan(1);
      expect(deniedApi.requests).toBeGreaterThan(1);
    });

    test('reads the secret again where the broker refuses what it said', async () => {
      const rotated = [secretOf('hunter2'), secretOf(password)];
      Object.defineProperty(api, 'secret', { get: () => (rotated.length > 1 ? rotated.shift() : rotated[0]) });
      expect(await request('Create')).toMatchObject({ Status: 'SUCCESS' });
      expect(api.requests).toBe(2);
    });

    test('tells which variable is wrong', async () => {
      const { Status, Reason } = await request('Create', { REPLY_SHARDS: '33', AMQP_URL: '' });
      expect(Status).toBe('FAILED');
      expect(Reason).toMatch(/^Configuration: AMQP_URL is not set; .* REPLY_SHARDS is not valid; /);
    });

    test('deletes nothing with the stack, and needs no broker for it', async () => {
      await request('Create');
      const gone = { AMQP_URL: 'amqp://127.0.0.1:1' };
      expect(await request('Delete', gone)).toMatchObject({ Status: 'SUCCESS', PhysicalResourceId: 'topology-1' });
      const odd = { properties: { DeleteQueues: undefined, Queues: undefined } };
      expect(await request('Delete', gone, odd)).toMatchObject({ Status: 'SUCCESS' });
      expect(await existing(ofShards(1))).toBe('111');
    });

    test('deletes the queues that the request names, where it is told to', async () => {
      await request('Create', { REPLY_SHARDS: '3' });
      await client.channel.deleteQueue(names.apiQueue);
      const properties = { DeleteQueues: 'true', Queues: ofShards(2) };
      for (const _ of ['once', 'again']) {
        expect(await request('Delete', {}, { properties })).toMatchObject({
          Status: 'SUCCESS',
          PhysicalResourceId: 'topology-1',
          Data: { Deleted: ofShards(2).join(', ') },
        });
      }
      expect(await existing(ofShards(3))).toBe('00010');
    });

    test('does not delete what the request does not name clearly', async () => {
      await request('Create');
      for (const Queues of [undefined, names.wsQueue, [names.wsQueue, 1]]) {
        const properties = { DeleteQueues: 'true', Queues };
        const { Status, Reason } = await request('Delete', {}, { properties });
        expect([Status, Reason]).toEqual(['FAILED', 'Queues must be a list of names']);
      }
      expect(await existing(ofShards(1))).toBe('111');
    });

    test('leaves its answer again where it was not taken', async () => {
      bucket.treat(500);
      await deployed().invoke(event('Create'));
      expect(bucket.answer().Status).toBe('SUCCESS');
      expect(bucket.attempts).toHaveLength(2);
    });

    describe('the tools of an operator', () => {
      let folder: string;
      let profiles: string;
      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), 'ws-gateway-profiles-'));
        profiles = join(folder, 'credentials');
        await writeFile(profiles, '[operator]\naws_access_key_id = id\naws_secret_access_key = key\n');
      });
      afterAll(() => rm(folder, { recursive: true }));

      /** As `aws configure` leaves them, and no variables with credentials. */
      const byProfile = () => ({
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        AWS_PROFILE: 'operator',
        AWS_SHARED_CREDENTIALS_FILE: profiles,
      });

      test.each<[string, () => Record<string, string>]>([
        ['by the secret', () => ({ AMQP_URL: url, ...secretsEnv() })],
        ['by the secret, which a profile may read', () => ({ AMQP_URL: url, ...secretsEnv(), ...byProfile() })],
        ['by the URL', () => ({ AMQP_URL: withLogin(url) })],
      ])('log in %s, with any password', async (_, env) => {
        const declared = await run('infra/topology.cli.ts', [], { ...env(), REPLY_SHARDS: '2' });
        expect(declared).toEqual({
          code: 0,
          stdout: ofShards(2)
            .map((queue) => `${queue}: ready\n`)
            .join(''),
          stderr: '',
        });
        client.channel.sendToQueue(`${names.wsQueue}.dead`, Buffer.from('dead'), {
          persistent: true,
          headers: { 'x-original-queue': `${names.wsQueue}.1` },
        });
        const replayed = await run('infra/dead-letters/dead-letters.cli.ts', ['replay', '--all'], env());
        expect(replayed).toMatchObject({ code: 0, stderr: '' });
        expect(await client.channel.get(`${names.wsQueue}.1`, { noAck: true })).toMatchObject({
          content: Buffer.from('dead'),
        });
      });

      test('tell in one line why the secret cannot be read', async () => {
        api.answer({ status: 400, error: 'AccessDeniedException' });
        const env = { AMQP_URL: url, ...secretsEnv() };
        const results = await Promise.all([
          run('infra/topology.cli.ts', [], env),
          run('infra/dead-letters/dead-letters.cli.ts', ['list'], env),
        ]);
        const line = 'The secret with the credentials of the broker cannot be read. (as the test wants it)\n';
        expect(results).toEqual([
          { code: 1, stdout: '', stderr: `${line}See: npm run topology -- --help\n` },
          { code: 1, stdout: '', stderr: line },
        ]);
      });
    });

    function withLogin(plain: string): string {
      return plain.replace('//', `//${encodeURIComponent(user)}:${encodeURIComponent(password)}@`);
    }

    async function run(file: string, args: string[], env: Record<string, string>) {
      const child = spawn(process.execPath, ['--import', 'tsx', join(root, file), ...args], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env.PATH, ...awsEnvironment, AWS_REGION: '', ...names.env, ...env },
      });
      opened.push({ close: () => void child.kill('SIGKILL') });
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
      return { code, stdout, stderr };
    }

    /** The broker, behind a port that refuses everybody until it comes up. */
    async function startLateBroker(): Promise<{ url: string; refused: Promise<unknown>; comeUp(): void }> {
      const news = new EventEmitter();
      const sockets = new Set<Socket>();
      const { hostname, port } = new URL(broker.url);
      let up = false;
      const server = net.createServer((socket) => {
        if (!up) {
          socket.resetAndDestroy();
          news.emit('refused');
          return;
        }
        const onward = net.connect(Number(port), hostname);
        for (const each of [socket, onward]) sockets.add(each.on('error', () => undefined));
        socket.pipe(onward).pipe(socket);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      opened.push({
        close: () => {
          server.close();
          for (const socket of sockets) socket.destroy();
        },
      });
      return {
        url: `amqp://127.0.0.1:${(server.address() as AddressInfo).port}`,
        refused: once(news, 'refused'),
        comeUp() {
          up = true;
        },
      };
    }
  });
}
