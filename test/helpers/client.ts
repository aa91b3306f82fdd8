import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket, { type ClientOptions } from 'ws';

/** A WebSocket client that keeps what it received and lets a test wait for it. */
// biome-ignore lint/suspicious/noExplicitAny: frames are what the test says they are
export type Frame = Record<string, any>;

export class Client {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
  #onFrame: (() => void) | undefined;
  #read = 0;

  /** Rejects with the status where the client is not let in: `Unexpected server response: 401`. */
  static async open(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Client> {
    const client = new Client(new WebSocket(url, protocols, options));
    await new Promise((resolve, reject) => client.socket.once('open', resolve).once('error', reject));
    return client;
  }

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)));
      this.#onFrame?.();
    });
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** The next frame that was not read yet. */
  async next(timeoutMs = 10_000): Promise<Frame> {
    const deadline = Date.now() + timeoutMs;
    while (this.frames.length === this.#read) {
      if (Date.now() > deadline)
        throw new Error(`No frame within ${timeoutMs} ms; so far: ${JSON.stringify(this.frames)}`);
      await this.#change(deadline - Date.now() + 1);
    }
    this.#read += 1;
    return this.frames[this.#read - 1] as Frame;
  }

  /** The first frame, read or not, that fits. */
  async find(fits: (frame: Frame) => boolean, timeoutMs = 10_000): Promise<Frame> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const frame = this.frames.find(fits);
      if (frame !== undefined) return frame;
      if (Date.now() > deadline)
        throw new Error(`No such frame within ${timeoutMs} ms; seen: ${JSON.stringify(this.frames)}`);
      await this.#change(deadline - Date.now() + 1);
    }
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  async #change(timeoutMs: number): Promise<void> {
    const arrived = new Promise<void>((resolve) => {
      this.#onFrame = resolve;
    });
    const waiting = new AbortController();
    await Promise.race([arrived, sleep(timeoutMs, undefined, { signal: waiting.signal }).catch(() => undefined)]);
    waiting.abort();
  }
}
