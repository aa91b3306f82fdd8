import type { Socket } from 'node:net';
import { Channel, type ChannelConnection } from './channel';
import { decodeMethod, encodeMethod, methodId } from './codec';
import { AmqpError, causedBy, channelError, erlangBinary, unexpectedFrame } from './errors';
import { checkKind, FRAME_HEARTBEAT, FRAME_METHOD, type Frame, FrameReader, frame } from './framing';
import { fitsWithin, isAcceptedHeader, logIn, PROTOCOL_HEADER, startArguments } from './handshake';
import { startHeartbeat } from './heartbeat';
import type { Arguments, Method, MethodName } from './methods';
import { Outbox } from './outbox';
import type { VirtualHost } from './virtual-host';

/**
 * A client's connection: the handshake, heartbeats, its channels, and the end of them all. Nothing a client
 * sends throws out of here; whatever goes wrong ends this connection and no other.
 */

export interface ConnectionOptions {
  readonly users: Readonly<Record<string, string>>;
  readonly heartbeatSeconds: number;
  readonly maxFrameBytes: number;
  readonly maxChannels: number;
  readonly maxMessageBytes: number;
  findVirtualHost(name: string): VirtualHost | undefined;
}

type State = 'header' | 'start' | 'tune' | 'open' | 'running' | 'closing' | 'closed';

const NO_METHOD = 'expected method frame, got non method frame instead';
const HANDSHAKE_MS = 10_000;
// RabbitMQ lets whoever fails the handshake wait before it hangs up.
const REFUSAL_MS = 3_000;
// How long the other side may take to answer a close, or to hang up after ours.
const CLOSING_MS = 30_000;

export class Connection implements ChannelConnection {
  readonly maxMessageBytes: number;
  maxFrameBytes: number;
  userId = '';
  takesCancel = false;
  private readonly socket: Socket;
  private readonly options: ConnectionOptions;
  private readonly outbox: Outbox;
  private readonly reader: FrameReader;
  private readonly channels = new Map<number, Channel>();
  private readonly unconfirmed = new Set<Channel>();
  private state: State = 'header';
  private host: VirtualHost | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopHeartbeat = (): void => undefined;
  private chunksRead = 0;
  private maxChannels = 0;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.maxFrameBytes = options.maxFrameBytes;
    this.maxMessageBytes = options.maxMessageBytes;
    this.reader = new FrameReader(options.maxFrameBytes);
    this.outbox = new Outbox(socket, () => {
      for (const channel of this.channels.values()) channel.dispatch();
      socket.resume();
      this.handleFrames();
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.chunksRead += 1;
      this.reader.push(chunk);
      this.handleFrames();
    });
    // A reset is not news: 'close' follows and cleans up.
    socket.on('error', () => undefined);
    socket.on('close', () => this.finish());
    this.hangUpAfter(HANDSHAKE_MS);
  }

  get virtualHost(): VirtualHost {
    if (this.host === undefined) throw new Error('a channel before connection.open');
    return this.host;
  }

  send(bytes: Buffer): void {
    this.outbox.send(bytes);
  }

  canDeliver(): boolean {
    return this.state === 'running' && this.outbox.hasRoom();
  }

  flushLater(channel: Channel): void {
    this.unconfirmed.add(channel);
  }

  channelEnded(number: number): void {
    this.channels.delete(number);
  }

  /** Tells the client to go. */
  force(explanation: string): void {
    if (this.state === 'running') this.fail(new AmqpError(320, explanation));
    else if (this.state !== 'closing') this.socket.destroy();
  }

  /** Ends it without waiting for anybody. */
  destroy(): void {
    this.outbox.flush();
    this.socket.destroy();
    this.finish();
  }

  private handleFrames(): void {
    for (;;) {
      if (this.outbox.isFull()) {
        // A client that asks for more than it reads; what it has sent is read on once it has taken its answers.
        this.socket.pause();
        break;
      }
      try {
        if (this.state === 'header' && !this.readHeader()) break;
        const next = this.reader.next();
        if (next === undefined) break;
        this.handle(next);
      } catch (error) {
        this.fail(error);
      }
      if (this.state === 'closed') break;
    }
    for (const channel of this.unconfirmed) channel.flushConfirms();
    this.unconfirmed.clear();
  }

  /** False while it is not all there. */
  private readHeader(): boolean {
    const header = this.reader.takeRaw(PROTOCOL_HEADER.length);
    if (header === undefined) return false;
    if (!isAcceptedHeader(header)) {
      this.send(PROTOCOL_HEADER);
      this.hangUp();
      return false;
    }
    this.state = 'start';
    this.reply('connection.start', startArguments());
    return true;
  }

  private handle(received: Frame): void {
    checkKind(received);
    if (this.state === 'closing') {
      this.handleWhileClosing(received);
      return;
    }
    const { type, channel: number, payload } = received;
    const early = this.state !== 'running' && number !== 0;
    if (early || (type === FRAME_HEARTBEAT && number !== 0)) {
      throw unexpectedFrame(`type ${type}, all octets = ${erlangBinary(payload)}`);
    }
    if (type === FRAME_HEARTBEAT) return;
    const channel = this.channels.get(number);
    if (channel !== undefined) channel.handle(received);
    else if (type !== FRAME_METHOD) throw unexpectedFrame(NO_METHOD);
    else if (number === 0) this.handleMethod(decodeMethod(payload));
    else this.openChannel(number, decodeMethod(payload));
  }

  private openChannel(number: number, { name }: Method): void {
    // A close-ok may cross the end of the channel it answers for.
    if (name === 'channel.close-ok') return;
    if (name !== 'channel.open') throw causedBy(name, channelError("expected 'channel.open'"));
    // RabbitMQ limits how many are open, not their numbers.
    const { size } = this.channels;
    if (size >= this.maxChannels) {
      throw new AmqpError(
        530,
        `number of channels opened (${size}) has reached the negotiated channel_max (${this.maxChannels})`,
      );
    }
    this.channels.set(number, new Channel(number, this));
  }

  private handleMethod(method: Method): void {
    const { state } = this;
    if (method.name === 'connection.close') this.closedByClient();
    else if (state === 'start' && method.name === 'connection.start-ok') this.started(method.args);
    else if (state === 'tune' && method.name === 'connection.tune-ok') this.tuned(method.args);
    else if (state === 'open' && method.name === 'connection.open') this.opened(method.args);
    else if (state === 'running' && method.name === 'connection.update-secret') {
      this.reply('connection.update-secret-ok', {});
    } else {
      throw causedBy(method.name, channelError(`unexpected method in connection state ${state}`));
    }
  }

  private started(args: Arguments<'connection.start-ok'>): void {
    const { users, maxChannels, maxFrameBytes, heartbeatSeconds } = this.options;
    const login = logIn(args, users);
    if ('refusal' in login) {
      if (login.refusal !== undefined) this.reply('connection.close', login.refusal);
      this.refuse();
      return;
    }
    this.userId = login.user;
    this.takesCancel = login.takesCancel;
    this.state = 'tune';
    this.reply('connection.tune', {
      channelMax: maxChannels,
      frameMax: maxFrameBytes,
      heartbeat: heartbeatSeconds,
    });
  }

  private tuned(args: Arguments<'connection.tune-ok'>): void {
    if (!fitsWithin(args, this.options)) {
      this.refuse();
      return;
    }
    this.maxChannels = args.channelMax;
    this.maxFrameBytes = args.frameMax;
    this.reader.maxFrameBytes = args.frameMax;
    this.state = 'open';
    if (args.heartbeat === 0) return;
    this.stopHeartbeat = startHeartbeat(args.heartbeat, this.outbox, {
      chunksRead: () => this.chunksRead,
      onSilence: () => this.destroy(),
    });
  }

  private opened({ virtualHost }: Arguments<'connection.open'>): void {
    const host = this.options.findVirtualHost(virtualHost);
    if (host === undefined) {
      throw causedBy('connection.open', new AmqpError(530, `vhost ${virtualHost} not found`));
    }
    clearTimeout(this.timer);
    this.host = host;
    this.state = 'running';
    this.reply('connection.open-ok', { knownHosts: '' });
  }

  private closedByClient(): void {
    this.state = 'closing';
    this.endChannels();
    this.reply('connection.close-ok', {});
    // The client hangs up, so that it is sure to have read the answer.
    this.hangUpAfter(CLOSING_MS);
  }

  private handleWhileClosing(received: Frame): void {
    if (received.type !== FRAME_METHOD || received.channel !== 0) return;
    const { name } = decodeMethod(received.payload);
    if (name === 'connection.close-ok') this.hangUp();
    else if (name === 'connection.close') this.reply('connection.close-ok', {});
  }

  private fail(error: unknown): void {
    if (this.state === 'closed') return;
    const known = error instanceof AmqpError ? error : new AmqpError(541, '');
    if (known.scope === 'socket' || this.state === 'closing') {
      // Already told; what comes now is noise, unless nothing more can be read.
      if (known.scope === 'socket') this.hangUp();
      return;
    }
    if (this.state === 'start' || this.state === 'tune' || this.state === 'header') {
      this.refuse();
      return;
    }
    this.state = 'closing';
    this.endChannels();
    const { code: replyCode, replyText, method } = known;
    const named = method === undefined ? { classId: 0, methodId: 0 } : methodId(method);
    this.reply('connection.close', { replyCode, replyText, ...named });
    this.hangUpAfter(CLOSING_MS);
  }

  /** For clients that fail the handshake: nothing more is read, and the socket closes after a while. */
  private refuse(): void {
    this.state = 'closing';
    this.hangUpAfter(REFUSAL_MS);
  }

  private reply<N extends MethodName>(name: N, args: Arguments<N>): void {
    this.send(frame(FRAME_METHOD, 0, encodeMethod(name, args)));
  }

  private endChannels(): void {
    for (const channel of this.unconfirmed) channel.flushConfirms();
    this.unconfirmed.clear();
    for (const channel of [...this.channels.values()]) channel.end();
    this.host?.removeQueuesOf(this);
  }

  private hangUpAfter(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.socket.destroy(), milliseconds).unref();
  }

  private hangUp(): void {
    this.state = 'closed';
    this.outbox.flush();
    this.socket.end();
    this.hangUpAfter(REFUSAL_MS);
    this.endChannels();
  }

  private finish(): void {
    this.state = 'closed';
    clearTimeout(this.timer);
    this.stopHeartbeat();
    this.endChannels();
  }
}
