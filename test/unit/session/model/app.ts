import { connect } from '../../../../lib/client';
import type { Gateway, Reply, Session, WebSocketLike } from '../../../../lib/client/types';
import { sessionLimits } from '../../../../lib/session/state';
import { withoutBatches } from '../../../helpers/without-batches';
import type { Socket, World } from './world';

/**
 * An application on the client library, and its books: what it was sent in each session, what it saw of that, and with which
 * reason it was told of an end. It sees a reply only where that is the next one that was published.
 */

/** A session as everybody who has its token knows it. */
export interface SessionBook {
  openedAt: number;
  /** messageIds, in the order in which they were published. */
  published: string[];
  publishedBytes: number;
  /** The highest that any of its clients has confirmed. */
  confirmedSeq: number;
  lostAPage: boolean;
  /** Two applications have its token. */
  isShared: boolean;
  holders: number;
  /** When a client held it last. */
  heldAt: number;
}

export interface Habits {
  /** At what age it replaces a connection. */
  rotateMs: number;
  /** Whether its client reads several replies in one frame, as the library does. */
  readsBatches: boolean;
}

/** By session. */
export type Books = Map<string, SessionBook>;

/** Between what the client knows of and what the gateway does: a claim that takes its time, a reconnect. */
const ttlMarginMs = 60_000;

export class App {
  readonly name: string;
  readonly habits: Habits;
  /** By session, messageIds. */
  readonly seen = new Map<string, string[]>();
  /** Sends, by id: the messageId of the acknowledgement, or why there is none. */
  readonly sent = new Map<string, { messageId?: string; failed?: string }>();
  readonly #world: World;
  readonly #books: Books;
  readonly #storage = new Map<string, string>();
  readonly #sockets: Socket[] = [];
  #gateway: Gateway | undefined;
  #isOnline = true;
  #session: string | undefined;
  #held: string | undefined;

  constructor(name: string, world: World, books: Books, habits: Habits, like?: App) {
    this.name = name;
    this.habits = habits;
    this.#world = world;
    this.#books = books;
    if (like?.session === undefined) return;
    this.#session = like.session;
    const book = books.get(like.session);
    if (book !== undefined) book.isShared = true;
    for (const [key, value] of like.#storage) this.#storage.set(key, value);
    this.seen.set(like.session, [...(like.seen.get(like.session) ?? [])]);
  }

  get session(): string | undefined {
    return this.#session;
  }

  get isOpen(): boolean {
    return this.#gateway?.state === 'open';
  }

  /** Somebody else has its session. */
  get isTakenOver(): boolean {
    return this.#gateway?.state === 'closed';
  }

  /** It opens, has its network again, or takes back what somebody else has taken. */
  come(): void {
    this.#isOnline = true;
    if (this.isTakenOver) this.#gateway = undefined;
    if (this.#gateway === undefined) this.#open();
  }

  /** Its network goes. */
  leave(quietly: boolean): void {
    this.#isOnline = false;
    this.cut(quietly);
  }

  cut(quietly: boolean): void {
    for (const socket of [...this.#sockets]) this.#world.cut(socket, quietly);
  }

  /** Of two connections the older one: the newer takes the session over, or has just done so. */
  cutOlder(quietly: boolean): void {
    if (this.#sockets[0] !== undefined) this.#world.cut(this.#sockets[0], quietly);
  }

  /** The page goes without a word, and comes again with what it had stored. */
  reload(): void {
    if (this.#gateway === undefined) return;
    const { isTakenOver } = this;
    this.cut(false);
    this.#gateway.close();
    this.#gateway = undefined;
    this.#follow();
    if (!isTakenOver) this.#open();
  }

  send(id: string): void {
    const gateway = this.#gateway;
    if (gateway === undefined) return;
    gateway.send({ id }, { id, timeoutMs: 30_000 }).then(
      ({ messageId, duplicate }) => {
        this.#world.meets(duplicate === true ? 'duplicate acknowledged' : 'send acknowledged');
        this.sent.set(id, { messageId });
        const requests = this.#world.requests.filter(({ clientId }) => clientId === id);
        if (!requests.some((request) => request.messageId === messageId)) {
          this.#violate(`got an ack of ${id} as ${messageId}, which was never published`);
        }
      },
      (error) => {
        this.#world.meets(`send failed: ${error.code}`);
        if (this.sent.get(id)?.messageId === undefined) this.sent.set(id, { failed: error.code });
      },
    );
  }

  #open(): void {
    const app = this;
    class AppSocket extends ClientSocket {
      constructor() {
        super(app.#world, app.#sockets, app.habits.readsBatches, () => app.#isOnline);
      }
    }
    const storage = {
      getItem: (key: string) => this.#storage.get(key) ?? null,
      setItem: (key: string, value: string) => void this.#storage.set(key, value),
    };
    const options = { session: 'auto', storage, rotateMs: this.habits.rotateMs, WebSocket: AppSocket } as const;
    const gateway = connect('ws://gateway', options);
    this.#gateway = gateway;
    gateway.on('session', (session) => this.#isTold(session));
    gateway.on('recv', (reply) => this.#see(reply));
    gateway.on('error', (error) => this.#world.sim.note(`${this.name}: ${error.code}: ${error.message}`));
    gateway.on('state', ({ state, reason }) => {
      this.#world.sim.note(`${this.name} is ${state} ${reason ?? ''}`);
      if (reason !== undefined) this.#world.meets(`closed: ${reason}`);
      const isRobbed = reason === 'taken_over' && this.#books.get(this.#session ?? '')?.isShared === true;
      if (state === 'closed' && reason !== 'closed' && !isRobbed) this.#violate(`is closed: ${reason}`);
      this.#follow();
    });
  }

  #isTold({ session, resumed, reason }: Session): void {
    this.#world.meets(resumed ? 'resumed' : reason === undefined ? 'opened' : `refused: ${reason}`);
    const mine = this.#session;
    if (resumed && session !== mine) this.#violate(`resumed ${session}, not ${mine}`);
    if (!resumed) {
      if (mine !== undefined) this.#ends(mine, reason ?? 'no reason');
      this.#session = session;
      this.seen.set(session, []);
      this.#books.set(session, {
        openedAt: this.#world.sim.now,
        published: [],
        publishedBytes: 0,
        confirmedSeq: 0,
        lostAPage: false,
        isShared: false,
        holders: 0,
        heldAt: this.#world.sim.now,
      });
    }
    this.#follow();
  }

  #see({ messageId = '', seq = 0 }: Reply): void {
    const seen = this.seen.get(this.#session ?? '') ?? [];
    const book = this.#books.get(this.#session ?? '');
    const due = book?.published[seen.length];
    seen.push(messageId);
    this.#world.meets('reply seen');
    this.#world.sim.note(`${this.name} sees ${messageId}`);
    if (messageId !== due) this.#violate(`saw ${messageId} where ${due} was due, after ${seen.slice(0, -1)}`);
    // It may tell the gateway from now on.
    if (book !== undefined) book.confirmedSeq = Math.max(book.confirmedSeq, seq);
  }

  /** Only for a true reason. */
  #ends(session: string, reason: string): void {
    const book = this.#books.get(session);
    if (book === undefined) throw new Error('A session ends that nobody has opened.');
    const { now } = this.#world.sim;
    const ageMs = now - book.openedAt;
    const isTooOld = ageMs >= sessionLimits.maxAgeSeconds * 1000;
    const unheldMs = book.holders > 0 ? 0 : now - book.heldAt;
    const isTrue: Record<string, boolean> = {
      unknown: isTooOld || unheldMs >= sessionLimits.ttlSeconds * 1000 - ttlMarginMs,
      too_old: isTooOld,
      too_many_replies: book.published.length > sessionLimits.maxReplies,
      too_many_bytes: book.publishedBytes > sessionLimits.maxBytes,
      incomplete: book.lostAPage || book.confirmedSeq > (this.seen.get(session)?.length ?? 0),
    };
    if (isTrue[reason] !== true) {
      this.#violate(`was told that ${session} has ended by ${reason}; held until ${unheldMs} ms ago`);
    }
  }

  /** Keeps the books on who holds which session. */
  #follow(): void {
    const holds = this.isOpen ? this.#gateway?.session?.session : undefined;
    if (holds === this.#held) return;
    const before = this.#books.get(this.#held ?? '');
    if (before !== undefined) {
      before.holders -= 1;
      before.heldAt = this.#world.sim.now;
    }
    const after = this.#books.get(holds ?? '');
    if (after !== undefined) after.holders += 1;
    this.#held = holds;
  }

  #violate(what: string): void {
    this.#world.violate(`${this.name} ${what}`);
  }
}

/** A WebSocket of the world, as the library uses it. */
class ClientSocket implements WebSocketLike {
  readyState = 0;
  readonly #world: World;
  readonly #socket: Socket;
  readonly #readsBatches: boolean;
  readonly #listeners = new Map<string, (event: never) => void>();

  constructor(world: World, open: Socket[], readsBatches: boolean, isOnline: () => boolean) {
    this.#world = world;
    this.#readsBatches = readsBatches;
    const forget = () => open.splice(0, open.length, ...open.filter((other) => other !== this.#socket));
    this.#socket = world.connect(
      {
        onOpen: () => {
          this.readyState = 1;
          this.#tell('open', {});
        },
        onFrame: (data) => this.#tell('message', { data }),
        onClose: () => {
          forget();
          this.readyState = 3;
          this.#tell('close', { code: 1006 });
        },
      },
      isOnline,
    );
    open.push(this.#socket);
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  send(text: string): void {
    void this.#world.send(this.#socket, this.#readsBatches ? text : withoutBatches(text));
  }

  close(): void {
    this.#world.cut(this.#socket, false);
  }

  #tell(type: string, event: object): void {
    this.#listeners.get(type)?.(event as never);
  }
}
