import type { WebSocketConstructor } from '../../../lib/client';

/**
 * A network that can fail. To the client library its sockets are WebSockets; `cut` makes them what a phone's are in a tunnel:
 * the page hears nothing more of them and the gateway is not told, for a script cannot end a WebSocket without its closing
 * handshake. A new socket opens once the network is there again.
 */

/** `lost`: on a socket that was cut, whoever wrote it. */
export type Way = 'out' | 'in' | 'lost';

export interface Network {
  WebSocket: WebSocketConstructor;
  cut(offlineMs: number): void;
}

/** The gateway ends the connection of a session that was taken over. One that nobody took over ends after this. */
const abandonMs = 60_000;

/** @param onFrame hears of each frame, as text. */
export function failingNetwork(onFrame: (way: Way, text: string) => void): Network {
  const sockets = new Set<Socket>();
  let online: Promise<unknown> = Promise.resolve();
  return {
    WebSocket: class extends Socket {
      constructor(url: string, protocols?: string[]) {
        super(onFrame);
        sockets.add(this);
        this.addEventListener('close', () => sockets.delete(this));
        online.then(() => this.open(url, protocols));
      }
      // Its listeners are those of an EventTarget, which are typed for any event.
    } as unknown as WebSocketConstructor,
    cut(offlineMs) {
      online = new Promise((resolve) => setTimeout(resolve, offlineMs));
      for (const socket of sockets) socket.cut();
    },
  };
}

class Socket extends EventTarget {
  readonly #onFrame: (way: Way, text: string) => void;
  #socket: WebSocket | undefined;
  #isOver = false;

  constructor(onFrame: (way: Way, text: string) => void) {
    super();
    this.#onFrame = onFrame;
  }

  get readyState(): number {
    return this.#isOver ? WebSocket.CLOSED : (this.#socket?.readyState ?? WebSocket.CONNECTING);
  }

  open(url: string, protocols?: string[]): void {
    if (this.#isOver) return;
    this.#socket = new WebSocket(url, protocols);
    for (const type of ['open', 'message', 'error', 'close']) {
      this.#socket.addEventListener(type, (event) => this.#hear(event));
    }
  }

  send(text: string): void {
    this.#onFrame(this.#isOver ? 'lost' : 'out', text);
    if (!this.#isOver) this.#socket?.send(text);
  }

  close(): void {
    if (this.#socket === undefined) this.cut();
    else if (!this.#isOver) this.#socket.close();
  }

  cut(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    setTimeout(() => this.#socket?.close(), abandonMs);
    this.dispatchEvent(new CloseEvent('close', { code: 1006 }));
  }

  #hear(event: Event): void {
    if (event instanceof MessageEvent) this.#onFrame(this.#isOver ? 'lost' : 'in', event.data);
    if (this.#isOver) return;
    // An event is dispatched once; as the description of another one it has all that this one has.
    const Copy = event.constructor as new (type: string, from: Event) => Event;
    this.dispatchEvent(new Copy(event.type, event));
  }
}
