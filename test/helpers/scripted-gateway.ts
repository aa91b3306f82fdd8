import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebSocket, WebSocketServer } from 'ws';

/** A gateway that says what a test makes it say, over real WebSockets. */
// biome-ignore lint/suspicious/noExplicitAny: frames are what the test says they are
type Frame = Record<string, any>;

const patienceMs = 10_000;

export class ScriptedGateway {
  readonly url: string;
  /** Every handshake, also those that were refused. */
  readonly attempts: IncomingMessage[] = [];
  /** What the next handshakes are answered: a status, or nothing at all; 101 when this is empty. */
  readonly answers: (number | 'silence')[] = [];
  readonly #server: WebSocketServer;
  readonly #arrived = new Arrivals<Connection>();

  static async start(): Promise<ScriptedGateway> {
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: (offered) => offered.has('gateway.v1') && 'gateway.v1',
      verifyClient: ({ req }, answer) => gateway.#admit(req, answer),
    });
    await once(server, 'listening');
    const gateway = new ScriptedGateway(server);
    return gateway;
  }

  private constructor(server: WebSocketServer) {
    this.#server = server;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket, request) => this.#arrived.add(new Connection(socket, request)));
  }

  /** The next client that was let in. */
  connection(): Promise<Connection> {
    return this.#arrived.next(() => true, 'No client has connected');
  }

  /** Whether another client has connected, or does within a moment. */
  async isAlone(ms = 100): Promise<boolean> {
    await sleep(ms);
    return this.#arrived.unread.length === 0;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.attempts) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #admit(request: IncomingMessage, answer: (isGood: boolean, status?: number) => void): void {
    this.attempts.push(request);
    const status = this.answers.shift();
    if (status === undefined) answer(true);
    else if (status !== 'silence') answer(false, status);
  }
}

export class Connection {
  /** All that the client has said. */
  readonly frames: Frame[] = [];
  readonly offered: string[];
  /** Resolves with the code. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #arrived = new Arrivals<Frame>();

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.offered = (request.headers['sec-websocket-protocol'] ?? '').split(/, ?/);
    this.closed = once(socket, 'close').then(([code]) => code);
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data));
      this.frames.push(frame);
      this.#arrived.add(frame);
    });
  }

  say(frame: Frame | Frame[] | string): void {
    this.#socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** The next frame with this action; those with another are left. */
  hears(action: string): Promise<Frame> {
    return this.#arrived.next((frame) => frame.action === action, `No "${action}" has come`);
  }

  /** What the client has said of this action. */
  said(action: string): Frame[] {
    return this.frames.filter((frame) => frame.action === action);
  }

  /** Answers the next send. @returns it. */
  async acks(fields: Frame = {}): Promise<Frame> {
    const send = await this.hears('send');
    this.say({ event: 'ack', id: send.id, messageId: `m-${send.id}`, ...fields });
    return send;
  }

  /** Answers the next claim. @returns it. */
  async claimed(fields: Frame): Promise<Frame> {
    const claim = await this.hears('session');
    this.say({ event: 'session', id: claim.id, ttlSeconds: 300, ...fields });
    return claim;
  }

  close(code = 1000): void {
    this.#socket.close(code);
  }

  /** As when the network goes. */
  cut(): void {
    this.#socket.terminate();
  }
}

class Arrivals<T> {
  readonly unread: T[] = [];
  #wake: (() => void)[] = [];

  add(item: T): void {
    this.unread.push(item);
    for (const wake of this.#wake.splice(0)) wake();
  }

  async next(fits: (item: T) => boolean, complaint: string): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const index = this.unread.findIndex(fits);
      if (index >= 0) return this.unread.splice(index, 1)[0] as T;
      if (Date.now() >= deadline) throw new Error(`${complaint}; there are ${JSON.stringify(this.unread)}`);
      const late = new AbortController();
      await Promise.race([
        new Promise<void>((resolve) => this.#wake.push(resolve)),
        sleep(deadline - Date.now(), undefined, { signal: late.signal }).catch(() => undefined),
      ]);
      late.abort();
    }
  }
}
