import type { Delivery, OutgoingMessage } from '../../../../lib/amqp';
import { deliver } from '../../../../lib/delivery';
import { GatewayError } from '../../../../lib/errors';
import { noMetrics } from '../../../../lib/metrics';
import type { Post, PostOutcome } from '../../../../lib/post';
import type { Publisher } from '../../../../lib/publisher';
import { type Recent, recentDeliveries } from '../../../../lib/recent';
import { createSender } from '../../../../lib/sender';
import { type Memberships, rememberedMemberships } from '../../../../lib/session/membership';
import { createSessionRoutes } from '../../../../lib/session/resume';
import { createSessionSender } from '../../../../lib/session/sending';
import { createSessions, type Sessions } from '../../../../lib/session/sessions';
import { memorySessionStore, noSessionRecords } from '../../../helpers/session-memory';
import { silentLog } from '../../../helpers/silent-log';
import { call, type Functions } from './functions';
import type { Life, Simulation } from './simulation';
import { keyOf, memoryConnections, memorySends, noTables } from './tables';

/**
 * What surrounds the functions: API Gateway with its connections, RabbitMQ with the poller that invokes the consumer, and
 * the tables. What a function asks of them is a step before and a step after its effect, and has an answer within a time.
 */

/** The client's end of a WebSocket. */
export interface ClientEnd {
  onOpen(): void;
  onFrame(frame: string): void;
  onClose(): void;
}

export interface Socket {
  connectionId: string;
  openedAt: number;
  /** Whether API Gateway takes it for open. */
  open: boolean;
  /** The client's end is gone, of which API Gateway may not know for a while. */
  cut: boolean;
  /** Whether its client said that it reads several replies in one frame. */
  readsBatches: boolean;
  /** Of the replies of its session those up to here were posted to it, or its client had them before. */
  postedSeq: number;
  /** Frames on their way to the client; undefined is the end. */
  pipe: (string | undefined)[];
  client: ClientEnd;
}

export interface Request {
  messageId: string;
  session: string;
  clientId: string;
}

interface PostedFrame {
  event: string;
  seq?: number;
}

const requestMs = 5000;
/** API Gateway waits no longer for a function. */
export const routeMs = 29_000;
const consumerMs = 60_000;
const redeliveryMs = 1000;
const connectionMs = 2 * 3_600_000;
const idleMs = 600_000;
const batchSize = 5;
const target = { apiQueue: 'api_queue', replyQueues: ['ws_queue'], style: 'event' } as const;

export class World {
  readonly sim: Simulation;
  /** What no fault excuses. */
  readonly violations: string[] = [];
  /** How often it came to what is to be tried. */
  readonly encounters = new Map<string, number>();
  /** A connection that missed a reply could not be closed: it gets that with its next reply, or as its next connection. */
  isLeftOpen = false;
  /** What the services were sent, in order. */
  readonly requests: Request[] = [];
  readonly #functions: Functions;
  readonly #records = noSessionRecords();
  readonly #tables = noTables();
  readonly #sockets = new Map<string, Socket>();
  readonly #queue: Delivery[] = [];
  /** Each a process that lives on, as a Lambda does between its events. */
  readonly #memberships: Record<'session' | 'send', Memberships>;
  #recent: Recent = recentDeliveries();
  #batch: { deliveries: Delivery[]; life: Life } | undefined;
  #isPolling = false;
  /** Functions of routes that run, each with what ends it. */
  readonly #running = new Map<Life, (reason: Error) => void>();
  /** Messages that somebody publishes, and until when. */
  readonly #publishing = new Map<string, { life: Life; deadline: number }>();

  constructor(sim: Simulation, functions: Functions) {
    this.sim = sim;
    this.#functions = functions;
    const { membership } = memoryConnections(this.#tables, this.#request({ alive: true }));
    this.#memberships = { session: rememberedMemberships(membership), send: rememberedMemberships(membership) };
  }

  meets(what: string): void {
    this.encounters.set(what, (this.encounters.get(what) ?? 0) + 1);
  }

  violate(what: string): void {
    this.violations.push(what);
    this.sim.note(`!!! ${what}`);
  }

  // API Gateway

  connect(client: ClientEnd, isReachable: () => boolean): Socket {
    const connectionId = `c${this.#sockets.size + 1}`;
    const socket: Socket = {
      connectionId,
      openedAt: 0,
      open: false,
      cut: false,
      readsBatches: false,
      postedSeq: 0,
      pipe: [],
      client,
    };
    this.#sockets.set(connectionId, socket);
    void this.sim.step(`${connectionId} connects`).then(() => {
      if (socket.cut) return;
      if (!isReachable()) return this.cut(socket, false);
      socket.openedAt = this.sim.now;
      socket.open = true;
      this.#tables.rows.set(connectionId, { openedAt: socket.openedAt });
      this.sim.setTimer(() => this.#end(socket), connectionMs);
      client.onOpen();
    });
    return socket;
  }

  /** A frame from the client. */
  async send(socket: Socket, frame: string): Promise<void> {
    const { connectionId, openedAt } = socket;
    // Also after the connection's end: API Gateway has taken it before.
    await this.sim.step(`${connectionId} > ${frame.slice(0, 90)}`);
    const { action, after = 0, batches } = JSON.parse(frame) as { action: string; after?: number; batches?: boolean };
    if (action === 'session') socket.readsBatches = batches === true;
    socket.postedSeq = Math.max(socket.postedSeq, after);
    const handler = this.#functions.routes[action];
    if (handler === undefined) throw new Error(`There is no route ${action}.`);
    const requestContext = { connectionId, eventType: 'MESSAGE' as const, connectedAt: openedAt };
    try {
      const { body } = await this.#invoke(routeMs, (life) =>
        call(handler, { requestContext, body: frame }, routeMs, this.#ports(life)),
      );
      if (body === undefined) return;
      await this.sim.step(`${connectionId} is answered`);
      this.#toClient(socket, body);
    } catch (error) {
      this.sim.note(`${action} of ${connectionId} failed: ${error}`);
      this.meets('function killed');
      this.#toClient(socket, JSON.stringify({ message: 'Internal server error', connectionId, requestId: 'r' }));
    }
  }

  /** The client's end goes; API Gateway learns of it soon, or only once the connection was idle for long. */
  cut(socket: Socket, quietly: boolean): void {
    if (socket.cut) return;
    socket.cut = true;
    this.sim.note(`${socket.connectionId} is cut${quietly ? ' quietly' : ''}`);
    socket.client.onClose();
    if (quietly) this.sim.setTimer(() => this.#end(socket), idleMs);
    else void this.sim.step(`the end of ${socket.connectionId} is noticed`).then(() => this.#end(socket));
  }

  #end(socket: Socket): void {
    if (!socket.open) return;
    this.#toClient(socket, undefined);
    socket.open = false;
    void this.#disconnected(socket).catch((error) => this.sim.note(`$disconnect: ${error}`));
  }

  async #disconnected({ connectionId, openedAt }: Socket): Promise<void> {
    await this.sim.step('$disconnect before');
    this.sim.note(`$disconnect of ${connectionId}`);
    const requestContext = { connectionId, eventType: 'DISCONNECT' as const, connectedAt: openedAt };
    const ports = this.#ports({ alive: true });
    await call(this.#functions.disconnect, { requestContext }, routeMs, ports);
  }

  #toClient(socket: Socket, frame: string | undefined): void {
    if (!socket.open) return;
    socket.pipe.push(frame);
    if (socket.pipe.length === 1) void this.#flow(socket);
  }

  async #flow(socket: Socket): Promise<void> {
    while (socket.pipe.length > 0) {
      await this.sim.step(`${socket.connectionId} < ${socket.pipe[0]?.slice(0, 90) ?? 'the end'}`);
      const frame = socket.pipe.shift();
      if (socket.cut) continue;
      if (frame !== undefined) socket.client.onFrame(frame);
      else {
        socket.cut = true;
        socket.client.onClose();
      }
    }
  }

  // RabbitMQ, and the poller of its event source mapping

  enqueue(...deliveries: Delivery[]): void {
    this.#queue.push(...deliveries);
    this.#poll();
  }

  get hasWaiting(): boolean {
    return this.#queue.length > 0;
  }

  #poll(delayMs = 0): void {
    if (this.#isPolling || this.#batch !== undefined || this.#queue.length === 0) return;
    this.#isPolling = true;
    this.sim.setTimer(() => {
      this.#isPolling = false;
      void this.#consume();
    }, delayMs);
  }

  async #consume(): Promise<void> {
    const batch = { deliveries: this.#queue.slice(0, batchSize), life: { alive: true } };
    this.#batch = batch;
    this.sim.note(`a batch of ${batch.deliveries.map(({ properties }) => properties.messageId)}`);
    const isGivenOut = () => this.#batch === batch;
    try {
      const verdicts = await this.#invoke(
        consumerMs,
        (life) => deliver(batch.deliveries, this.sim.now + consumerMs - 500, this.#deliveryPorts(life)),
        batch.life,
      );
      this.sim.note(`the batch is done: ${verdicts}`);
      if (!isGivenOut()) return;
      this.#queue.splice(0, batch.deliveries.length);
      this.#batch = undefined;
      this.#poll();
    } catch (error) {
      this.sim.note(`the batch comes back: ${error}`);
      this.meets('batch came back');
      if (!isGivenOut()) return;
      this.#batch = undefined;
      this.#poll(redeliveryMs);
    }
  }

  /** The consumer is killed where it stands, and its batch comes back. */
  killConsumer(): void {
    if (this.#batch === undefined) return;
    this.sim.note('the consumer is killed');
    this.meets('consumer killed');
    this.sim.kill(this.#batch.life);
    this.#recent = recentDeliveries();
    this.#batch = undefined;
    this.#poll(redeliveryMs);
  }

  /** RabbitMQ gives the batch out again while the consumer is still at it, which another process takes. */
  redeliver(): void {
    if (this.#batch === undefined) return;
    this.sim.note('the batch is given out again');
    this.meets('batch given out twice');
    this.#recent = recentDeliveries();
    this.#batch = undefined;
    this.#poll();
  }

  killAFunction(choice: number): void {
    const running = [...this.#running.keys()].filter((life) => life !== this.#batch?.life);
    const life = running[choice % Math.max(1, running.length)];
    if (life === undefined) return;
    this.sim.note('a function is killed');
    this.#running.get(life)?.(new Error('killed'));
    this.#running.delete(life);
  }

  // The tables

  /** @returns the session that it belonged to. */
  loseAPage(choice: number): string | undefined {
    const { pages } = this.#records;
    const all = [...pages].flatMap(([session, ofSession]) => [...ofSession.keys()].map((id) => ({ session, id })));
    const lost = all[choice % Math.max(1, all.length)];
    if (lost === undefined) return undefined;
    this.sim.note(`page ${lost.id} of ${lost.session} is lost`);
    this.meets('page lost');
    pages.get(lost.session)?.delete(lost.id);
    return lost.session;
  }

  // What a function has

  /** Rejects where it is killed, at the end of its time or before. */
  #invoke<T>(ms: number, work: (life: Life) => Promise<T>, life: Life = { alive: true }): Promise<T> {
    return new Promise((resolve, reject) => {
      const kill = (reason: Error) => {
        this.sim.kill(life);
        reject(reason);
      };
      const timer = this.sim.setTimer(() => kill(new Error('its time is over')), ms);
      this.#running.set(life, kill);
      const done = () => {
        this.sim.clearTimer(timer);
        this.#running.delete(life);
      };
      work(life).finally(done).then(resolve, reject);
    });
  }

  #ports(life: Life) {
    const shared = { sessions: this.#sessions(life), log: silentLog, metrics: noMetrics };
    const connections = memoryConnections(this.#tables, this.#request(life));
    return {
      ...shared,
      connections,
      routes: createSessionRoutes({
        ...shared,
        connections,
        memberships: this.#memberships.session,
        post: this.#post(life),
        close: this.#close(life),
      }),
      sender: createSessionSender(createSender(this.#publisher(life), target, noMetrics), {
        memberships: this.#memberships.send,
        sends: memorySends(this.#tables, this.#request(life)),
        log: silentLog,
      }),
    };
  }

  #deliveryPorts(life: Life) {
    return {
      post: this.#post(life),
      close: this.#close(life),
      connections: memoryConnections(this.#tables, this.#request(life)),
      sessions: this.#sessions(life),
      deadLetters: {
        add: async ({ delivery, verdict, reason }: { delivery: Delivery; verdict: string; reason: string }) =>
          this.violate(`dead-lettered ${delivery.properties.messageId}: ${verdict}, ${reason}`),
      },
      recent: this.#recent,
      log: silentLog,
      metrics: noMetrics,
    };
  }

  #sessions(life: Life): Sessions {
    const store = memorySessionStore(this.#records, ({ operation, moment }) =>
      this.sim.step(`${operation} ${moment}`, { life, survives: moment === 'before' }),
    );
    return createSessions({
      load: (...args) => this.#answered(store.load(...args)),
      save: (...args) => this.#answered(store.save(...args)),
      putPage: (...args) => this.#answered(store.putPage(...args)),
      pages: (...args) => this.#answered(store.pages(...args)),
      deletePages: (...args) => this.#answered(store.deletePages(...args)),
    });
  }

  #request(life: Life) {
    return <T>(what: string, act: () => T) => this.#answered(this.#effect(what, life, act));
  }

  async #effect<T>(what: string, life: Life, act: () => T): Promise<T> {
    await this.sim.step(`${what} before`, { life, survives: true });
    const result = act();
    await this.sim.step(`${what} after`, { life });
    return result;
  }

  /** Who asks does not wait for ever; what was asked for may happen all the same. */
  #answered<T>(work: Promise<T>, timeoutMs = requestMs): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.sim.setTimer(() => reject(new Error('no answer in time')), timeoutMs);
      work.finally(() => this.sim.clearTimer(timer)).then(resolve, reject);
    });
  }

  #post(life: Life): Post {
    return (connectionId, frame, { timeoutMs }) => {
      const posting = this.#effect('post', life, (): PostOutcome => {
        const socket = this.#sockets.get(connectionId);
        if (socket?.open !== true) return { result: 'gone' };
        this.#isInOrder(socket, frame);
        this.#toClient(socket, frame);
        return { result: 'delivered' };
      });
      return this.#answered(posting, timeoutMs).catch((error) => ({ result: 'transient', reason: String(error) }));
    };
  }

  /** What a client without a library rests on. A copy may come again, and late. */
  #isInOrder(socket: Socket, frame: string): void {
    const { connectionId, readsBatches } = socket;
    const parsed = JSON.parse(frame) as PostedFrame | PostedFrame[];
    if (Array.isArray(parsed)) {
      this.meets('several replies in one frame');
      if (!readsBatches) this.violate(`several replies are posted in one frame to ${connectionId}, which reads none`);
    }
    for (const { event, seq = 0 } of [parsed].flat()) {
      if (event === 'session') continue;
      if (seq > socket.postedSeq + 1 && !this.isLeftOpen) {
        this.violate(`reply ${seq} is posted to ${connectionId} after ${socket.postedSeq}`);
      }
      socket.postedSeq = Math.max(socket.postedSeq, seq);
    }
  }

  #close(life: Life) {
    const post = this.#post(life);
    return async (connectionId: string, lastFrame: string | undefined): Promise<'closed' | 'failed'> => {
      if (lastFrame !== undefined) await post(connectionId, lastFrame, { timeoutMs: 1500 });
      const closing = this.#effect('close', life, () => {
        const socket = this.#sockets.get(connectionId);
        if (socket !== undefined) this.#end(socket);
      });
      return this.#answered(closing, 1500).then(
        () => 'closed',
        () => {
          this.isLeftOpen = true;
          return 'failed';
        },
      );
    };
  }

  #publisher(life: Life): Publisher {
    return {
      prepare() {},
      publish: async (message, deadline) => {
        const request = requestOf(message);
        const key = keyOf(request.session, request.clientId);
        const other = this.#publishing.get(key);
        if (other?.life.alive && this.sim.now < other.deadline) {
          this.violate(`${request.clientId} is published by two at a time`);
        }
        const mine = { life, deadline };
        this.#publishing.set(key, mine);
        try {
          await this.#answered(this.#effect('publish', life, () => this.#published(request, key)));
        } catch (cause) {
          throw new GatewayError('unavailable', 'The broker did not confirm the message in time.', { cause });
        } finally {
          if (this.#publishing.get(key) === mine) this.#publishing.delete(key);
        }
      },
      close: async () => undefined,
    };
  }

  #published(request: Request, key: string): void {
    this.sim.note(`published ${request.clientId} as ${request.messageId}`);
    const before = this.requests.filter(({ session, clientId }) => keyOf(session, clientId) === key);
    if (before.some(({ messageId }) => messageId !== request.messageId)) {
      this.violate(`${request.clientId} is published as ${request.messageId}, and was as ${before[0]?.messageId}`);
    }
    if (before.length > 0) this.meets('message published again');
    if (this.#tables.messages.get(key)?.fate === 'acked') {
      this.violate(`${request.clientId} is published again after it was noted that it is in the queue`);
    }
    this.requests.push(request);
  }
}

function requestOf({ body }: OutgoingMessage): Request {
  const { metadata } = JSON.parse(String(body)).data;
  return { messageId: metadata.message_id, session: metadata.socket_id, clientId: metadata.client_id };
}
