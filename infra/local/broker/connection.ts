import type { Socket } from 'node:net';
import { Channel, type ChannelConnection } from './channel';
import { decodeConnectionMethod, decodeMethod, encodeMethod, methodId } from './codec';
import { AmqpError, causedBy, channelError, contained, internalError, unexpectedFrame } from './errors';
import { checkKind, FRAME_HEARTBEAT, FRAME_METHOD, type Frame, FrameReader, frame, misplacedFrame } from './framing';
import { type Agreement, Handshake, type HandshakeOptions, isAcceptedHeader, PROTOCOL_HEADER } from './handshake';
import { startHeartbeat } from './heartbeat';
import type { Memory } from './memory';
import type { Arguments, Method, MethodName } from './methods';
import { Outbox } from './outbox';
import { resumeByTurns } from './queue';
import type { VirtualHost } from './virtual-host';

/**
 * A client's connection: the handshake, heartbeats, its channels, and the end of them all. Nothing a client
 * sends throws out of here; whatever goes wrong ends this connection and no other.
 */

export interface ConnectionOptions extends HandshakeOptions {
  readonly maxMessageBytes: number;
  readonly memory: Memory;
}

/**
 * `closing`: all is given back, and only the end of the conversation is waited for. `refused`: nothing more is
 * read, and the socket closes after a while.
 */
type State = 'header' | 'handshake' | 'running' | 'closing' | 'refused' | 'closed';

const HANDSHAKE_MS = 10_000;
// RabbitMQ lets whoever fails the handshake or breaks its frames wait before it hangs up.
const REFUSAL_MS = 3_000;
// How long the other side may take to answer a close, or to hang up after ours.
const CLOSING_MS = 30_000;

export class Connection implements ChannelConnection {
  readonly maxMessageBytes: number;
  readonly memory: Memory;
  maxFrameBytes: number;
  private readonly socket: Socket;
  private readonly options: ConnectionOptions;
  private readonly outbox: Outbox;
  private readonly reader: FrameReader;
  private readonly channels = new Map<number, Channel>();
  private readonly unconfirmed = new Set<Channel>();
  private state: State = 'header';
  private handshake: Handshake | undefined;
  private agreement: Agreement | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopHeartbeat = (): void => undefined;
  private stopWaiting = (): void => undefined;
  /** By the memory alarm. */
  private blocked = false;
  /** By a test. */
  private paused = false;
  private chunksRead = 0;
  private turn = 0;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.maxFrameBytes = options.maxFrameBytes;
    this.maxMessageBytes = options.maxMessageBytes;
    this.memory = options.memory;
    this.reader = new FrameReader(options.maxFrameBytes);
    this.outbox = new Outbox(socket, () => {
      this.turn += 1;
      // Each queue once, however many channels take from it.
      resumeByTurns(new Set([...this.channels.values()].flatMap((channel) => [...channel.queues()])), this.turn);
      this.readOn();
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.chunksRead += 1;
      this.reader.push(chunk);
      this.handleFrames();
    });
    // A reset is not news: 'close' follows and cleans up.
    socket.on('error', () => undefined);
    socket.on('end', () => this.hangUp());
    socket.on('close', () => this.finish());
    this.hangUpAfter(HANDSHAKE_MS);
  }

  get name(): string {
    return this.agreement?.client.name ?? `${this.socket.remoteAddress}:${this.socket.remotePort}`;
  }

  get isOpen(): boolean {
    return this.state === 'running';
  }

  get takesCancel(): boolean {
    return this.agreement?.client.takesCancel ?? false;
  }

  get userId(): string {
    return this.agreement?.client.user ?? '';
  }

  get virtualHost(): VirtualHost {
    if (this.agreement === undefined) throw new Error('a channel before connection.open');
    return this.agreement.virtualHost;
  }

  send(bytes: Buffer): void {
    this.outbox.send(bytes);
  }

  canDeliver(): boolean {
    return this.state === 'running' && this.outbox.hasRoom();
  }

  canReply(): boolean {
    return this.state === 'running' && !this.outbox.isFull();
  }

  flushLater(channel: Channel): void {
    this.unconfirmed.add(channel);
  }

  channelEnded(number: number): void {
    this.channels.delete(number);
  }

  close(reason = 'closed by the operator'): void {
    if (this.state === 'running') this.tell(new AmqpError(320, reason));
    else if (this.state !== 'closing') this.hangUp();
    // Even of a client that was blocked the answer is waited for.
    this.readOn();
  }

  drop(): void {
    this.outbox.mute();
    this.socket.pause();
    this.finish();
  }

  pauseReads(): void {
    this.paused = true;
    this.socket.pause();
  }

  resumeReads(): void {
    this.paused = false;
    this.readOn();
  }

  /** Ends it without waiting for anybody; as RabbitMQ's, the socket is reset. */
  hangUp(): void {
    this.outbox.flush();
    this.finish();
    // What a client does not read would keep the reset waiting.
    if (this.socket.writableLength === 0) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  private isReading(): boolean {
    const ended = this.state === 'refused' || this.state === 'closed';
    // A client that asks for more than it reads is read on once it has taken its answers.
    return !ended && !this.blocked && !this.paused && !this.outbox.isFull();
  }

  private readOn(): void {
    if (!this.isReading()) return;
    this.socket.resume();
    this.handleFrames();
  }

  private handleFrames(): void {
    while (this.isReading()) {
      try {
        if (this.state === 'header' && !this.readHeader()) break;
        const next = this.reader.next();
        if (next === undefined) break;
        this.handle(next);
      } catch (error) {
        this.fail(error);
      }
    }
    if (!this.isReading()) this.socket.pause();
    for (const channel of this.unconfirmed) channel.flushConfirms();
    this.unconfirmed.clear();
  }

  /** False while it is not all there. */
  private readHeader(): boolean {
    const header = this.reader.takeRaw(PROTOCOL_HEADER.length);
    if (header === undefined) return false;
    if (!isAcceptedHeader(header)) {
      this.send(PROTOCOL_HEADER);
      this.outbox.flush();
      this.finish();
      this.socket.destroySoon();
      return false;
    }
    this.state = 'handshake';
    this.handshake = new Handshake(this.options, (name, args) => this.reply(name, args));
    return true;
  }

  private handle(received: Frame): void {
    checkKind(received);
    if (this.state === 'closing') {
      this.handleWhileClosing(received);
      return;
    }
    const { type, channel: number } = received;
    if (number === 0) {
      if (type === FRAME_METHOD) this.handleMethod(decodeConnectionMethod(received.payload));
      else if (type !== FRAME_HEARTBEAT) throw misplacedFrame(received);
      return;
    }
    if (this.state !== 'running' || type === FRAME_HEARTBEAT) throw misplacedFrame(received);
    // Asked before the frame: the message that raises the alarm is still taken.
    const { alarm } = this.memory;
    const channel = this.channels.get(number);
    if (channel !== undefined) channel.handle(received);
    else if (type === FRAME_METHOD) this.openChannel(number, decodeMethod(received.payload));
    else throw unexpectedFrame('expected method frame, got non method frame instead');
    if (alarm && type !== FRAME_METHOD) this.block();
  }

  /** Whoever publishes during an alarm is stopped in the middle of the message, after its header; others are not. */
  private block(): void {
    if (this.state !== 'running') return;
    this.blocked = true;
    if (this.agreement?.client.takesBlocked) this.reply('connection.blocked', { reason: 'low on memory' });
    this.stopWaiting = this.memory.whenCleared(() => {
      this.blocked = false;
      if (this.agreement?.client.takesBlocked) this.reply('connection.unblocked', {});
      this.readOn();
    });
  }

  private openChannel(number: number, { name }: Method): void {
    if (name !== 'channel.open') throw causedBy(name, channelError("expected 'channel.open'"));
    // RabbitMQ limits how many are open, not their numbers.
    const { size } = this.channels;
    const max = this.agreement?.limits.channelMax ?? 0;
    if (size >= max) {
      throw new AmqpError(530, `number of channels opened (${size}) has reached the negotiated channel_max (${max})`);
    }
    this.channels.set(number, new Channel(number, this));
  }

  private handleMethod(method: Method): void {
    const { name } = method;
    if (this.state === 'handshake') this.agree(this.handshake?.take(method));
    else if (name === 'connection.close') this.closedByClient();
    // As in RabbitMQ, a user with a password needs no new secret, and any is accepted.
    else if (name === 'connection.update-secret') this.reply('connection.update-secret-ok', {});
    else throw causedBy(name, channelError('unexpected method in connection state running'));
  }

  private agree(agreement: Agreement | undefined): void {
    if (agreement === undefined) return;
    const { frameMax, heartbeat } = agreement.limits;
    clearTimeout(this.timer);
    this.agreement = agreement;
    this.maxFrameBytes = frameMax;
    this.reader.maxFrameBytes = frameMax;
    this.state = 'running';
    this.reply('connection.open-ok', { knownHosts: '' });
    if (heartbeat === 0) return;
    this.stopHeartbeat = startHeartbeat(heartbeat, this.outbox, {
      chunksRead: () => this.chunksRead,
      isHeard: () => !this.blocked && !this.paused,
      onSilence: () => this.hangUp(),
    });
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
    const known = error instanceof AmqpError ? error : internalError();
    // Of a fault of the broker's own the client learns no more than this; whoever runs the broker does.
    if (known !== error) process.emitWarning(error as Error);
    if (known.scope === 'socket') this.hangUp();
    else if (this.state === 'running' || (this.isOpening() && known.code !== 541)) this.tell(known);
    else if (this.state === 'handshake') this.refuse();
    // When all is given back already, what goes wrong is noise, unless nothing more can be read.
    if (known.scope === 'stream') this.refuse();
  }

  /** From here on a client is told what is wrong; before, it might not understand. */
  private isOpening(): boolean {
    return this.state === 'handshake' && this.handshake?.state === 'opening';
  }

  private tell({ code: replyCode, replyText, method }: AmqpError): void {
    this.state = 'closing';
    this.endChannels();
    const named = method === undefined ? { classId: 0, methodId: 0 } : methodId(method);
    this.reply('connection.close', { replyCode, replyText, ...named });
    this.hangUpAfter(CLOSING_MS);
  }

  private refuse(): void {
    this.state = 'refused';
    this.socket.pause();
    this.hangUpAfter(REFUSAL_MS);
  }

  private reply<N extends MethodName>(name: N, args: Arguments<N>): void {
    this.send(frame(FRAME_METHOD, 0, encodeMethod(name, args)));
  }

  /** Gives back all that the connection held. */
  private endChannels(): void {
    this.stopWaiting();
    this.blocked = false;
    for (const channel of this.unconfirmed) channel.flushConfirms();
    this.unconfirmed.clear();
    for (const channel of [...this.channels.values()]) contained(() => channel.end());
    contained(() => this.agreement?.virtualHost.removeQueuesOf(this));
  }

  private hangUpAfter(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.hangUp(), milliseconds).unref();
  }

  private finish(): void {
    this.state = 'closed';
    clearTimeout(this.timer);
    this.stopHeartbeat();
    this.endChannels();
  }
}
