import { Malformed, type Source } from './bytes';
import { AmqpError, accessRefused, causedBy, channelError } from './errors';
import { longstr, readTable, stringOf, type Table, table } from './fields';
import type { Arguments, Method, MethodName } from './methods';
import type { VirtualHost } from './virtual-host';

/**
 * What server and client say to each other before a connection is open: who the server is, whether it knows
 * the user, how large and how many things may be, and which virtual host it shall be.
 */

export interface HandshakeOptions {
  /** Passwords by name. */
  readonly users: Readonly<Record<string, string>>;
  readonly heartbeatSeconds: number;
  readonly maxFrameBytes: number;
  readonly maxChannels: number;
  findVirtualHost(name: string): VirtualHost | undefined;
}

/** What a client says of itself. */
export interface Client {
  readonly user: string;
  /** Its own `connection_name`. */
  readonly name: string | undefined;
  /** Whether it understands a cancel that the server sends. */
  readonly takesCancel: boolean;
  /** Whether it wants to know when it is blocked. */
  readonly takesBlocked: boolean;
}

/** What both sides have agreed on. */
export interface Agreement {
  readonly client: Client;
  readonly limits: Arguments<'connection.tune-ok'>;
  readonly virtualHost: VirtualHost;
}

type Reply = <N extends MethodName>(name: N, args: Arguments<N>) => void;

/** The release whose behaviour is the model here; clients choose their ways by product and version. */
const VERSION = '3.10.8';

export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
// The second is that of clients that mean 0-9-1 and write it as 0-9 did. The two of 0-8, which RabbitMQ still speaks,
// are refused.
const ACCEPTED_HEADERS = ['AMQP\0\0\x09\x01', 'AMQP\x01\x01\0\x09'];

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

export class Handshake {
  /** RabbitMQ's names, which stand in its refusals. */
  state: 'starting' | 'tuning' | 'opening' = 'starting';
  private readonly options: HandshakeOptions;
  private readonly reply: Reply;
  private client: Client | undefined;
  private limits: Arguments<'connection.tune-ok'> | undefined;

  constructor(options: HandshakeOptions, reply: Reply) {
    this.options = options;
    this.reply = reply;
    reply('connection.start', {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: serverProperties(),
      mechanisms: Buffer.from([...MECHANISMS.keys()].join(' ')),
      locales: Buffer.from('en_US'),
    });
  }

  /** The agreement, with the method that completes it. @throws AmqpError for what gets a client no further */
  take({ name, args }: Method): Agreement | undefined {
    const { state, client, limits } = this;
    if (state === 'starting' && name === 'connection.start-ok') this.started(args);
    else if (state === 'tuning' && name === 'connection.tune-ok') this.tuned(args);
    else if (client !== undefined && limits !== undefined && name === 'connection.open') {
      return { client, limits, virtualHost: this.virtualHost(args.virtualHost) };
    } else throw causedBy(name, channelError(`unexpected method in connection state ${state}`));
    return undefined;
  }

  private started(args: Arguments<'connection.start-ok'>): void {
    const { maxChannels, maxFrameBytes, heartbeatSeconds } = this.options;
    this.client = this.logIn(args);
    this.state = 'tuning';
    this.reply('connection.tune', { channelMax: maxChannels, frameMax: maxFrameBytes, heartbeat: heartbeatSeconds });
  }

  private logIn({ clientProperties, mechanism, response }: Arguments<'connection.start-ok'>): Client {
    const { users } = this.options;
    const credentials = MECHANISMS.get(mechanism)?.(response);
    if (credentials === undefined) throw accessRefused(`cannot log in by ${mechanism}`);
    const { user, password } = credentials;
    if (!Object.hasOwn(users, user) || users[user] !== password) {
      const refusal = accessRefused(
        `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`,
      );
      if (hasCapability(clientProperties, 'authentication_failure_close')) {
        const { code: replyCode, replyText } = refusal;
        this.reply('connection.close', { replyCode, replyText, classId: 0, methodId: 0 });
      }
      throw refusal;
    }
    return {
      user,
      name: stringOf(clientProperties.get('connection_name')),
      takesCancel: hasCapability(clientProperties, 'consumer_cancel_notify'),
      takesBlocked: hasCapability(clientProperties, 'connection.blocked'),
    };
  }

  /** A client may lower what was proposed. Zero is no limit, which is more. */
  private tuned(limits: Arguments<'connection.tune-ok'>): void {
    const { channelMax, frameMax } = limits;
    const channelsFit = channelMax > 0 && channelMax <= this.options.maxChannels;
    const framesFit = frameMax >= MIN_FRAME_BYTES && frameMax <= this.options.maxFrameBytes;
    if (!channelsFit || !framesFit) throw new AmqpError(530, 'more than was proposed, or less than must be');
    this.limits = limits;
    this.state = 'opening';
  }

  private virtualHost(name: string): VirtualHost {
    const found = this.options.findVirtualHost(name);
    if (found === undefined) throw causedBy('connection.open', new AmqpError(530, `vhost ${name} not found`));
    return found;
  }
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

/** Nobody acts for another: what may stand in front is empty. */
function plain(response: Buffer): Credentials | undefined {
  const [other, user, password, ...more] = response.toString('utf8').split('\0');
  const readable = other === '' && user !== undefined && password !== undefined && more.length === 0;
  return readable ? { user, password } : undefined;
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
