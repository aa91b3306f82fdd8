import type { FieldValue } from '../../../../infra/local/broker/fields';
import { PROTOCOL_HEADER } from '../../../helpers/amqp-frames';
import type { Scenario, Script } from '../script';
import type { ConnectOptions, ScriptConnection } from '../script-connection';
import { type Plain, printTable } from '../values';

/** What client and server say to each other until the connection is open. */

const TAKES_A_CLOSE = { authentication_failure_close: true };

export const handshake: Scenario[] = [
  {
    name: 'the server says what it is and can do',
    async run(script) {
      const connection = await script.dial();
      connection.write('header 0-9-1', PROTOCOL_HEADER);
      const start = await connection.wire.take(({ method }) => method.name === 'connection.start');
      if (start?.method.name !== 'connection.start') throw new Error('no start');
      const { versionMajor, versionMinor, mechanisms, locales, serverProperties } = start.method.args;
      script.note(`version ${versionMajor}-${versionMinor}, locales ${locales}`);
      script.note(`mechanisms ${mechanisms.toString().split(' ').sort().join(' ')}`);
      // Which platform and cluster it is may differ.
      for (const [name, field] of serverProperties) script.note(`${name}: ${shown(name, field)}`);
    },
  },
  {
    name: 'PLAIN logs in, and the server proposes its limits',
    async run(script) {
      const connection = await greeted(script);
      await logIn(connection, 'PLAIN', '\0guest\0guest');
      connection.control.cast('connection.tune-ok', { channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
      await connection.control.call('connection.open', { virtualHost: '/' });
    },
  },
  {
    name: 'AMQPLAIN logs in',
    async run(script) {
      const login = amqplain({ LOGIN: 'guest', PASSWORD: 'guest' });
      await logIn(await greeted(script), 'AMQPLAIN', login);
    },
  },
  {
    name: 'AMQPLAIN with a wrong password is refused with 403',
    async run(script) {
      const login = amqplain({ LOGIN: 'guest', PASSWORD: 'wrong' });
      await refused(await greeted(script), 'AMQPLAIN', login, TAKES_A_CLOSE);
    },
  },
  {
    name: 'a wrong password is refused with 403 to a client that takes it',
    async run(script) {
      await refused(await greeted(script), 'PLAIN', '\0guest\0wrong', TAKES_A_CLOSE);
    },
  },
  {
    name: 'a wrong password ends the socket of a client that does not take a close',
    async run(script) {
      await refused(await greeted(script), 'PLAIN', '\0guest\0wrong', {});
    },
  },
  {
    name: 'an unknown user is refused as a wrong password is',
    async run(script) {
      await refused(await greeted(script), 'PLAIN', '\0nobody\0guest', TAKES_A_CLOSE);
    },
  },
  {
    name: 'an empty password is refused',
    async run(script) {
      await refused(await greeted(script), 'PLAIN', '\0guest\0', TAKES_A_CLOSE);
    },
  },
  {
    name: 'what is no login ends the socket, whatever the client takes',
    async run(script) {
      const logins = [
        ['PLAIN', 'guest guest'],
        ['PLAIN', '\0guest\0guest\0more'],
        ['PLAIN', 'somebody\0guest\0guest'],
        ['AMQPLAIN', amqplain({ LOGIN: 'guest' })],
        ['SCRAM-SHA-256', ''],
        ['', ''],
      ] as const;
      const connections: ScriptConnection[] = [];
      for (const [mechanism, response] of logins) {
        const connection = await greeted(script);
        startOk(connection, mechanism, response, TAKES_A_CLOSE);
        connections.push(connection);
      }
      await ended(connections);
    },
  },
  {
    name: 'a missing virtual host is refused with 530',
    async run(script) {
      const connection = await tuned(script, {});
      await connection.control.call('connection.open', { virtualHost: 'nowhere' });
    },
  },
  {
    name: 'an empty virtual host is no other than the one of that name',
    async run(script) {
      const connection = await tuned(script, {});
      await connection.control.call('connection.open', { virtualHost: '' });
    },
  },
  {
    name: 'a locale that nobody speaks is taken',
    async run(script) {
      const connection = await greeted(script);
      connection.control.cast('connection.start-ok', { mechanism: 'PLAIN', response: '\0guest\0guest', locale: 'tlh' });
      await connection.control.receive('connection.tune');
    },
  },
  {
    name: 'a virtual host is named without a slash before it',
    async run(script) {
      const connection = await tuned(script, {});
      await connection.control.call('connection.open', { virtualHost: '/second' });
    },
  },
  {
    name: 'limits lower than those proposed are taken',
    async run(script) {
      const connection = await tuned(script, { channelMax: 1, frameMax: 4096 });
      await connection.control.call('connection.open', { virtualHost: '/' });
    },
  },
  {
    name: 'a higher heartbeat than proposed is taken',
    async run(script) {
      const connection = await tuned(script, { heartbeat: 600 });
      await connection.control.call('connection.open', { virtualHost: '/' });
    },
  },
  {
    name: 'limits that are higher than proposed, none, or below what every peer must take, end the socket',
    async run(script) {
      const limits = [
        { frameMax: 131_073 },
        { frameMax: 0 },
        { frameMax: 4095 },
        { channelMax: 2048 },
        { channelMax: 0 },
      ];
      const connections: ScriptConnection[] = [];
      for (const each of limits) connections.push(await tuned(script, each));
      await ended(connections);
    },
  },
  ...[
    {
      name: 'a header of AMQP 1.0 is answered by the one that is spoken',
      header: 'AMQP\0\x01\0\0',
      follows: '3.10: AMQP 1.0 is a plugin; 4.x speaks it without one',
    },
    {
      name: 'a header of AMQP 1.0 with SASL is answered by the one that is spoken',
      header: 'AMQP\x03\x01\0\0',
      follows: '3.10: AMQP 1.0 is a plugin; 4.x speaks it without one',
    },
    { name: 'a header of a newer protocol is answered by the one that is spoken', header: 'AMQP\0\0\x0a\0' },
    { name: 'a client that speaks HTTP is answered by the header', header: 'GET / HTTP/1.1\r\n\r\n' },
  ].map(({ header, ...named }) => ({
    ...named,
    async run(script: Script) {
      const connection = await script.dial();
      connection.write(`header ${JSON.stringify(header)}`, Buffer.from(header, 'latin1'));
      await connection.hungUp();
    },
  })),
  {
    name: 'a header of 0-9 starts the handshake of 0-9-1',
    async run(script) {
      const connection = await script.dial();
      connection.write('header 0-9', Buffer.from('AMQP\x01\x01\0\x09', 'latin1'));
      const start = await connection.wire.take(() => true);
      if (start?.method.name !== 'connection.start') throw new Error('no start');
      script.note(`version ${start.method.args.versionMajor}-${start.method.args.versionMinor}`);
    },
  },
  {
    name: 'a method before its time ends the socket',
    async run(script) {
      const [opening, tuning, closing, untuned] = [
        await greeted(script),
        await greeted(script),
        await greeted(script),
        await greeted(script),
      ];
      opening.control.cast('connection.open', { virtualHost: '/' });
      tuning.control.cast('connection.tune-ok', { channelMax: 2047, frameMax: 131_072 });
      closing.control.cast('connection.close', { replyCode: 200 });
      await logIn(untuned, 'PLAIN', '\0guest\0guest');
      untuned.control.cast('connection.open', { virtualHost: '/' });
      await ended([opening, tuning, closing, untuned]);
    },
  },
  {
    name: 'a channel before the connection is open',
    async run(script) {
      const connection = await tuned(script, {});
      connection.unopened(1).cast('channel.open');
      await connection.control.receive('connection.close');
    },
  },
  {
    name: 'a close during the handshake is refused',
    async run(script) {
      const connection = await tuned(script, {});
      await connection.control.call('connection.close', { replyCode: 200, replyText: 'goodbye' });
    },
  },
];

/** Says the header and takes the start, without a line in the transcript. */
async function greeted(script: Script): Promise<ScriptConnection> {
  const connection = await script.dial();
  connection.wire.write(PROTOCOL_HEADER);
  await connection.wire.take(({ method }) => method.name === 'connection.start');
  return connection;
}

function startOk(connection: ScriptConnection, mechanism: string, response: string, capabilities: Plain): void {
  connection.control.cast('connection.start-ok', {
    clientProperties: { capabilities },
    mechanism,
    response,
    locale: 'en_US',
  });
}

async function logIn(connection: ScriptConnection, mechanism: string, response: string): Promise<void> {
  startOk(connection, mechanism, response, {});
  await connection.control.receive('connection.tune');
}

async function refused(
  connection: ScriptConnection,
  mechanism: string,
  response: string,
  capabilities: Plain,
): Promise<void> {
  startOk(connection, mechanism, response, capabilities);
  await connection.control.receive('connection.close');
}

/** The server lets each wait for seconds, so they wait side by side. */
async function ended(connections: readonly ScriptConnection[]): Promise<void> {
  for (const connection of connections) await connection.hungUp();
}

async function tuned(script: Script, limits: ConnectOptions): Promise<ScriptConnection> {
  const connection = await greeted(script);
  await logIn(connection, 'PLAIN', '\0guest\0guest');
  connection.control.cast('connection.tune-ok', { channelMax: 2047, frameMax: 131_072, heartbeat: 0, ...limits });
  return connection;
}

/** A table of strings as AMQPLAIN wants it: without its length in front. */
function amqplain(fields: { readonly [name: string]: string }): string {
  const parts = Object.entries(fields).map(([name, value]) => {
    const length = String.fromCharCode(0, 0, 0, value.length);
    return `${String.fromCharCode(name.length)}${name}S${length}${value}`;
  });
  return parts.join('');
}

function shown(name: string, field: FieldValue): string {
  if (field.type === 'table') return printTable(field.value);
  return name === 'product' ? `${field.type} ${field.value}` : field.type;
}
