import type { Writable } from 'node:stream';
import type { ChannelModel, ConfirmChannel, SocketOptions } from 'amqplib';
import type { OutgoingMessage } from './amqp';
import { connect } from './amqp-connect';
import { type Credentials, type Login, LoginError } from './credentials';
import { publishFrames } from './publish-frames';

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
  /**
   * Instead of the channel's own. False when the socket is full: until the channel's `drain` nothing should follow. Throws
   * for what cannot be expressed in AMQP, of which nothing was sent.
   */
  publish(message: OutgoingMessage, onConfirm: OnConfirm): boolean;
  /** As agreed with the broker, milliseconds; 0 for none. */
  heartbeatMs: number;
  /** Closes the socket at once. */
  destroy(): void;
}

/** With something where the broker has refused the message, or the channel has closed. */
type OnConfirm = (refused: unknown) => void;

/** What amqplib's types leave out. */
interface Insides {
  connection: { heartbeat: number; frameMax: number; stream: Writable };
  channel: { ch: number; pushConfirmCallback(onConfirm: OnConfirm): void };
}

/** amqplib hands these on to net.connect or tls.connect, which both take a signal. */
type AbortableSocketOptions = SocketOptions & { signal: AbortSignal };

export async function dial({ url, login, openTimeoutMs, heartbeatSeconds }: DialOptions): Promise<OpenChannel> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), openTimeoutMs);
  try {
    const options: AbortableSocketOptions = {
      // Without it every small publish waits about 40 ms for a delayed TCP acknowledgement.
      noDelay: true,
      signal: abort.signal,
      // Not in the URL, where amqplib takes each byte of a password for a character.
      credentials: { mechanism: 'PLAIN', response: () => Buffer.from(`\0${login.username}\0${login.password}`) },
    };
    const connection = await connect(withHeartbeat(url, heartbeatSeconds), options);
    // Without a listener it would end the process.
    connection.on('error', () => undefined);
    const channel = await connection.createConfirmChannel();
    const { heartbeat, stream } = connection.connection as unknown as Insides['connection'];
    // A close that came together with the answer was told before anybody could listen.
    if (stream.writableEnded || stream.destroyed) throw new Error('the broker has closed the connection');
    const publish = publisherOn(connection, channel);
    return { connection, channel, publish, heartbeatMs: heartbeat * 1000, destroy: () => abort.abort() };
  } catch (error) {
    if (abort.signal.aborted) throw new Error(`no answer from the broker within ${openTimeoutMs} ms`);
    abort.abort();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Writes messages to the socket in the turn of the event loop in which they come, all of them in one piece. amqplib leads each
 * through two streams, so that channels share a connection fairly, and a turn later writes it by a system call of its own.
 */
function publisherOn(connection: ChannelModel, channel: ConfirmChannel): OpenChannel['publish'] {
  const { stream, frameMax } = connection.connection as unknown as Insides['connection'];
  const { ch, pushConfirmCallback } = channel as unknown as Insides['channel'];
  let turn: Buffer[] = [];
  let turnBytes = 0;
  const write = () => {
    const isTaken = stream.write(turn.length === 1 ? turn[0] : Buffer.concat(turn, turnBytes));
    turn = [];
    turnBytes = 0;
    // Else the socket says so itself, later.
    if (isTaken) channel.emit('drain');
  };
  stream.on('drain', () => channel.emit('drain'));
  return (message, onConfirm) => {
    const frames = publishFrames(ch, message, frameMax);
    pushConfirmCallback.call(channel, onConfirm);
    if (turn.push(frames) === 1) process.nextTick(write);
    turnBytes += frames.length;
    return stream.writableLength + turnBytes < stream.writableHighWaterMark;
  };
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
