import type { GatewayError } from './errors';

/** What an application sees of the client library: its options, what it is told, and what it can do. */

export interface Options {
  /** A JWT, where the gateway asks for one. A function is asked anew for each connection, so that it can give a fresh one. */
  token?: string | (() => string | Promise<string>);
  /**
   * 'auto' opens a session and resumes it after a cut: each reply arrives exactly once and in order, and a send that was
   * cut off is repeated without a second effect. Default: 'off'.
   */
  session?: 'auto' | 'off';
  /** Keeps the session over a reload: `sessionStorage`, or anything alike. One that throws is done without. */
  storage?: Pick<StorageLike, 'getItem' | 'setItem'>;
  /** Default: `ws-gateway <url without its query>`. */
  storageKey?: string;
  /** Where there is no global one (Node 20) the one of the package `ws`. */
  WebSocket?: WebSocketConstructor;
  /** How often a ping keeps an idle connection open. Default: nine minutes; API Gateway closes after ten. */
  pingMs?: number;
  /** At what age a connection is replaced at the latest. Default: 110 minutes; API Gateway closes after 120. */
  rotateMs?: number;
  /** How many sends wait for a connection at most. Default: 100. */
  maxQueued?: number;
}

/** Made by `connect`; it holds a connection, and gets another when that one ends, until it is closed. */
export interface Gateway {
  /**
   * Sends a message to the services; without a connection, once there is one. Resolves when RabbitMQ has it, and else
   * rejects with a GatewayError.
   *
   * @example
   * const { messageId } = await gateway.send({ prompt: 'hello' }, { timeoutMs: 5000 });
   */
  send(data: object, options?: SendOptions): Promise<Ack>;
  /**
   * The replies to one send, from now on: so call it before that send. Ends by `break` or `cancel()`, or throws: the service's
   * error, the refusal of the send, or `replies_lost` where no more can come.
   *
   * @example
   * const answers = gateway.replies();
   * gateway.send({ prompt: 'hello' }, { id: answers.id }).catch(() => {}); // the loop throws the same
   * for await (const { data } of answers) show(data);
   */
  replies(sendId?: string, options?: RepliesOptions): Replies;
  /**
   * Calls the listener each time. @returns a function that ends it.
   *
   * @example
   * const off = gateway.on('state', ({ state }) => show(state));
   */
  on<E extends keyof Events>(event: E, listener: (event: Events[E]) => void): () => void;
  readonly state: State;
  /** The session that this connection is in, or was in last. */
  readonly session: Session | undefined;
  /** Ends it for good. What waits for an acknowledgement rejects with `closed`. A session can be resumed from its storage. */
  close(): void;
}

/**
 * `connecting`: an attempt is under way. `open`: messages go out at once. `waiting`: a pause before the next attempt.
 * `closed`: over for good.
 */
export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/**
 * `closed`: by `close()`. `taken_over`: another connection has the session now, such as a second tab with the same storage.
 * `unauthorized`: the token has expired, and is no function that could give another. `refused`: the gateway has no sessions.
 */
export type CloseReason = 'closed' | 'taken_over' | 'unauthorized' | 'refused';

export interface Events {
  /** Every reply of a service, whatever its name; in a session exactly once and in order. */
  recv: Reply;
  state: { state: State /** Where it is closed. */; reason?: CloseReason };
  /** A session was opened or resumed. `resumed: false` with a reason: replies and their order before it may be incomplete. */
  session: Session;
  /** What is not the answer to a send: a service's error, a failed attempt to connect, a listener that threw. */
  error: GatewayError;
}

export interface SendOptions {
  /** Until it is acknowledged. Default: 30,000. */
  timeoutMs?: number;
  /** Stops waiting; what was written already may arrive all the same. */
  signal?: AbortSignal;
  /** 1 to 64 printable ASCII characters, not used before. To repeat a send, its own again. Default: a random one. */
  id?: string;
}

/** RabbitMQ has the message. */
export interface Ack {
  id: string;
  /** The gateway's id of the message: what a service sees as `message_id`. */
  messageId: string;
  /** It had the message before: this send was a repetition. */
  duplicate?: boolean;
}

/** What a service replied. */
export interface Reply {
  /** The name that the service gave it, `recv` by default. */
  event: string;
  /** Of the send that it answers, where that is known. */
  id?: string;
  /** In a session: 1, 2, 3, ... */
  seq?: number;
  /** The reply's own; in a session always there. */
  messageId?: string;
  traceparent?: string;
  data: unknown;
}

export interface RepliesOptions {
  /** How many may wait for the loop; where it leaves more of them, the replies end with `buffer_full`. Default: 1000. */
  maxBuffered?: number;
}

export interface Replies extends AsyncIterableIterator<Reply> {
  /** Of the send whose replies these are. */
  readonly id: string;
  /** No more of them: a loop over them ends. */
  cancel(): void;
}

export interface Session {
  /** Public: what services see as `socket_id`. */
  session: string;
  resumed: boolean;
  /** Why the one before could not be resumed; absent where there was none. */
  reason?: 'unknown' | 'too_many_replies' | 'too_many_bytes' | 'too_old' | 'incomplete';
  /** How long it outlives its connection. */
  ttlSeconds: number;
  /** Of the last reply that the listeners were given; 0 before the first. */
  seq: number;
}

interface StorageLike {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** What is used of a WebSocket: a browser's, Node's and that of the package `ws` have it. */
export interface WebSocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(): void;
  // biome-ignore lint/suspicious/noExplicitAny: each kind of WebSocket has types of its own for its events
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: any) => void): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;
