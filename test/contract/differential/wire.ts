import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decodeMethod, decodeProperties, type Properties } from '../../../infra/local/broker/codec';
import { FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, FrameReader } from '../../../infra/local/broker/framing';
import { type Arguments, METHODS, type Method, type MethodName } from '../../../infra/local/broker/methods';
import { content, method } from '../../helpers/amqp-frames';

/**
 * A socket that speaks AMQP method by method and hides nothing: what comes is kept, by channel, until somebody
 * takes it. It says close-ok by itself, as every client does.
 */

export interface Received {
  readonly channel: number;
  readonly method: Method;
  readonly properties?: Properties;
  readonly body?: Buffer;
}

export type PartialArguments<N extends MethodName> = Partial<Arguments<N>>;

const HEADER_FIXED_BYTES = 12;
const PATIENCE_MS = 15_000;

export class Wire {
  readonly #socket: Socket;
  readonly #reader = new FrameReader(1024 * 1024);
  readonly #inbox: Received[] = [];
  readonly #parts = new Map<number, { received: Received; missing: number; body: Buffer[] }>();
  #ended = false;
  #wake = (): void => undefined;
  #heartbeats = 0;
  #isFirst = true;
  frameMaxBytes = 131_072;
  /** The protocol header, with which a server answers a client whose own it does not know. */
  header: Buffer | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  static async dial(url: string): Promise<Wire> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new Wire(socket);
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  send<N extends MethodName>(channel: number, name: N, args: PartialArguments<N>): void {
    this.write(method(channel, name, args));
  }

  sendContent(channel: number, args: PartialArguments<'basic.publish'>, properties: Properties, body: Buffer): void {
    const frames = [method(channel, 'basic.publish', args), content(channel, body, properties, this.frameMaxBytes)];
    this.write(Buffer.concat(frames));
  }

  /**
   * The first of what came, or will come, that `wanted` accepts; undefined once the socket has ended without it.
   * @throws (rejects) when nothing of the kind comes for long
   */
  async take(wanted: (received: Received) => boolean): Promise<Received | undefined> {
    await this.#until(() => this.holds(wanted));
    const index = this.#inbox.findIndex(wanted);
    return index < 0 ? undefined : this.#inbox.splice(index, 1)[0];
  }

  /** Resolves once a heartbeat has come. */
  heartbeat(): Promise<void> {
    return this.#until(() => this.#heartbeats > 0);
  }

  /** Whether something that came, and nobody has taken, is wanted. */
  holds(wanted: (received: Received) => boolean): boolean {
    return this.#inbox.some(wanted);
  }

  /** All that nobody has taken. */
  rest(): Received[] {
    return this.#inbox.splice(0);
  }

  /** Resolves once the server has hung up. */
  hungUp(): Promise<void> {
    return this.#until(() => false);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Waits until it is so, or the socket has ended. */
  async #until(isSo: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (!isSo() && !this.#ended) {
      if (deadline.aborted) throw new Error('nothing of the kind came');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  #read(chunk: Buffer): void {
    if (this.#isFirst && chunk.toString('latin1', 0, 4) === 'AMQP') {
      this.header = chunk;
      return;
    }
    this.#isFirst = false;
    this.#reader.push(chunk);
    for (let next = this.#reader.next(); next !== undefined; next = this.#reader.next()) {
      const { type, channel, payload } = next;
      if (type === FRAME_HEARTBEAT) {
        this.#heartbeats += 1;
        continue;
      }
      if (type === FRAME_METHOD) this.#arrived({ channel, method: decodeMethod(payload) });
      else if (type === FRAME_HEADER) this.#startContent(channel, payload);
      else this.#addBody(channel, payload);
    }
    this.#wake();
  }

  #arrived(received: Received): void {
    const { channel, method } = received;
    const hasContent = 'content' in METHODS[method.name];
    if (hasContent) this.#parts.set(channel, { received, missing: -1, body: [] });
    else this.#inbox.push(received);
    if (method.name === 'channel.close') this.send(channel, 'channel.close-ok', {});
    if (method.name === 'connection.close') {
      this.send(0, 'connection.close-ok', {});
      this.#socket.end();
    }
  }

  #startContent(channel: number, header: Buffer): void {
    const part = this.#parts.get(channel);
    if (part === undefined) throw new Error('a content header without a method');
    part.received = { ...part.received, properties: decodeProperties(header.subarray(HEADER_FIXED_BYTES)) };
    part.missing = Number(header.readBigUInt64BE(4));
    this.#completed(channel);
  }

  #addBody(channel: number, body: Buffer): void {
    const part = this.#parts.get(channel);
    if (part === undefined) throw new Error('a content body without a method');
    part.body.push(Buffer.from(body));
    part.missing -= body.length;
    this.#completed(channel);
  }

  #completed(channel: number): void {
    const part = this.#parts.get(channel);
    if (part === undefined || part.missing > 0) return;
    this.#parts.delete(channel);
    this.#inbox.push({ ...part.received, body: Buffer.concat(part.body) });
  }
}
