import amqp, { type ChannelModel, type ConfirmChannel, type SocketOptions } from 'amqplib';
import { connect } from './amqp-connect';
import { type Credentials, type Login, LoginError } from './credentials';

/** Opens an AMQP connection with one confirm channel within its time, or leaves nothing behind. */

export interface DialOptions {
  /** Its username and password are not read: see `login`. */
  url: string;
  login: Login;
  /** Time for the whole handshake, milliseconds. */
  openTimeoutMs: number;
  /** Proposed where the URL has no `?heartbeat=` of its own; the broker may lower it. */
  heartbeatSeconds: number;
}

export interface OpenChannel {
  connection: ChannelModel;
  channel: ConfirmChannel;
  /** As agreed with the broker, milliseconds; 0 for none. */
  heartbeatMs: number;
  /** Closes the socket at once. */
  destroy(): void;
}

/** amqplib hands these on to net.connect or tls.connect, which both take a signal. */
type AbortableSocketOptions = SocketOptions & { signal: AbortSignal };

/**
 * Frames (up to 128 KB each) that amqplib holds for a socket that takes no more, twice; then a publish has to wait. Its
 * default of 1024 would be a quarter of a gigabyte.
 */
const highWaterMark = 64;

export async function dial({ url, login, openTimeoutMs, heartbeatSeconds }: DialOptions): Promise<OpenChannel> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), openTimeoutMs);
  try {
    const options: AbortableSocketOptions = {
      // Without it every small publish waits about 40 ms for a delayed TCP acknowledgement.
      noDelay: true,
      signal: abort.signal,
      // Not in the URL, where amqplib takes each byte of a password for a character.
      credentials: amqp.credentials.plain(login.username, login.password),
    };
    const connection = await connect(withHeartbeat(url, heartbeatSeconds), options);
    // Without a listener it would end the process.
    connection.on('error', () => undefined);
    const channel = await connection.createConfirmChannel({ highWaterMark });
    // Not in amqplib's types.
    const { heartbeat } = connection.connection as unknown as { heartbeat: number };
    return { connection, channel, heartbeatMs: heartbeat * 1000, destroy: () => abort.abort() };
  } catch (error) {
    if (abort.signal.aborted) throw new Error(`no answer from the broker within ${openTimeoutMs} ms`);
    abort.abort();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Dials with the credentials as they are known and, where the broker refuses them, once more with renewed ones: a password
 * may have been rotated. Rejects with LoginError where the broker, or the secret, refuses the gateway.
 */
export async function loggedIn<T>(credentials: Credentials, open: (login: Login) => Promise<T>): Promise<T> {
  const login = await credentials.current();
  try {
    return await open(login);
  } catch (refusal) {
    if (!isLoginRefused(refusal)) throw refusal;
    const renewed = await credentials.renewed(login);
    if (renewed === undefined) throw refusedLogin(refusal);
    return open(renewed).catch((error: unknown) => {
      throw isLoginRefused(error) ? refusedLogin(error) : error;
    });
  }
}

function refusedLogin(cause: unknown): LoginError {
  return new LoginError('The broker refuses the credentials of the gateway.', { cause });
}

/** Whether what `dial` rejected with is the broker's refusal of this user and password; amqplib tells it by words alone. */
export function isLoginRefused(error: unknown): boolean {
  return error instanceof Error && error.message.includes('403 (ACCESS-REFUSED)');
}

function withHeartbeat(url: string, seconds: number): string {
  const parsed = new URL(url);
  if (!parsed.searchParams.has('heartbeat')) parsed.searchParams.set('heartbeat', String(seconds));
  return parsed.href;
}
