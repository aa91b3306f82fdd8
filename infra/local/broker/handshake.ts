import { Malformed, type Source } from './bytes';
import { accessRefused } from './errors';
import { longstr, readTable, stringOf, type Table, table } from './fields';
import type { Arguments } from './methods';

/**
 * What server and client say to each other before a connection is open: who the server is, and whether it
 * knows the user.
 */

/** The release whose behaviour is the model here; clients choose their ways by product and version. */
const VERSION = '3.10.8';

export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
// Headers of clients that mean 0-9-1 and write it as 0-9 or 0-8 did.
const ACCEPTED_HEADERS = ['AMQP\0\0\x09\x01', 'AMQP\x01\x01\0\x09', 'AMQP\x01\x01\x08\0', 'AMQP\x01\x01\x09\x01'];

// What the specification makes every peer accept.
const MIN_FRAME_BYTES = 4096;

const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
];

export function isAcceptedHeader(bytes: Buffer): boolean {
  return ACCEPTED_HEADERS.includes(bytes.toString('latin1'));
}

export function startArguments(): Arguments<'connection.start'> {
  return {
    versionMajor: 0,
    versionMinor: 9,
    serverProperties: serverProperties(),
    mechanisms: Buffer.from([...MECHANISMS.keys()].join(' ')),
    locales: Buffer.from('en_US'),
  };
}

/** A client may lower what was proposed. Zero is no limit, which is more. */
export function fitsWithin(
  { channelMax, frameMax }: Arguments<'connection.tune-ok'>,
  limits: { readonly maxChannels: number; readonly maxFrameBytes: number },
): boolean {
  const channelsFit = channelMax > 0 && channelMax <= limits.maxChannels;
  return channelsFit && frameMax >= MIN_FRAME_BYTES && frameMax <= limits.maxFrameBytes;
}

/** `refusal`: what to tell a client that gets no further; undefined where it would not understand, and is left in silence. */
export type Login =
  | { readonly user: string; readonly takesCancel: boolean }
  | { readonly refusal: Arguments<'connection.close'> | undefined };

export function logIn(
  { clientProperties, mechanism, response }: Arguments<'connection.start-ok'>,
  users: Readonly<Record<string, string>>,
): Login {
  const credentials = MECHANISMS.get(mechanism)?.(response);
  if (credentials === undefined) return { refusal: undefined };
  const { user, password } = credentials;
  if (Object.hasOwn(users, user) && users[user] === password) {
    return { user, takesCancel: hasCapability(clientProperties, 'consumer_cancel_notify') };
  }
  if (!hasCapability(clientProperties, 'authentication_failure_close')) return { refusal: undefined };
  const { code: replyCode, replyText } = accessRefused(
    `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`,
  );
  return { refusal: { replyCode, replyText, classId: 0, methodId: 0 } };
}

function hasCapability(clientProperties: Table, name: string): boolean {
  const capabilities = clientProperties.get('capabilities');
  return capabilities?.type === 'table' && capabilities.value.get(name)?.value === true;
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

const MECHANISMS: ReadonlyMap<string, (response: Buffer) => Credentials | undefined> = new Map([
  ['PLAIN', plain],
  ['AMQPLAIN', amqplain],
]);

function serverProperties(): Table {
  const capabilities = CAPABILITIES.map((name) => [name, { type: 'bool', value: true }] as const);
  return table({
    capabilities: { type: 'table', value: new Map(capabilities) },
    cluster_name: longstr('embedded@localhost'),
    copyright: longstr('MIT'),
    information: longstr('Embedded broker: in memory, for development'),
    platform: longstr(`Node.js ${process.version}`),
    product: longstr('RabbitMQ'),
    version: longstr(VERSION),
  });
}

function plain(response: Buffer): Credentials | undefined {
  const [, user, password, ...more] = response.toString('utf8').split('\0');
  return user === undefined || password === undefined || more.length > 0 ? undefined : { user, password };
}

/** A table without its length in front. */
function amqplain(response: Buffer): Credentials | undefined {
  const bytes = Buffer.alloc(response.length + 4);
  bytes.writeUInt32BE(response.length, 0);
  response.copy(bytes, 4);
  const source: Source = { bytes, at: 0 };
  try {
    const fields = readTable(source);
    const user = stringOf(fields.get('LOGIN'));
    const password = stringOf(fields.get('PASSWORD'));
    return user === undefined || password === undefined ? undefined : { user, password };
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}
