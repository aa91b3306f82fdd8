import type { Delivery } from '../../../../lib/amqp';
import { App, type Books, type Habits } from './app';
import type { Functions } from './functions';
import { Simulation } from './simulation';
import { liveIn } from './stand-ins';
import { routeMs, World } from './world';

/** One run: commands, and between them picks of what happens next; then all faults end, and everybody comes back. */

export type Command =
  | { do: 'reply' | 'large replies'; who: number; count: number }
  | { do: 'reply again' | 'come' | 'reload' | 'fight' | 'send' | 'send again'; who: number }
  | { do: 'cut' | 'cut older' | 'leave'; who: number; quietly: boolean }
  | { do: 'kill the consumer' | 'redeliver' }
  | { do: 'lose a page' | 'kill a function'; choice: number }
  | { do: 'fault'; at: string; moment: 'before' | 'after'; skip: number }
  | { do: 'outage'; at: readonly string[]; ms: number }
  | { do: 'wait'; ms: number };

export interface Course extends Habits {
  seed: number;
  /** Whether everybody has a session to begin with. */
  inSession: boolean;
  moves: readonly { command: Command; picks: readonly number[] }[];
}

export interface Result {
  violations: readonly string[];
  trace: readonly string[];
  encounters: ReadonlyMap<string, number>;
}

const largeBytes = 120_000;
const mostApps = 4;
/** The library's longest pause, a claim without an answer, a function that is killed at the end of its time, and all over. */
const lastWaitMs = 240_000;

export async function play({ seed, inSession, moves, ...habits }: Course, functions: Functions): Promise<Result> {
  const sim = new Simulation(seed);
  liveIn(sim);
  const world = new World(sim, functions);
  const books: Books = new Map();
  const apps = ['alice', 'bob'].map((name) => new App(name, world, books, habits));
  const { violations, encounters } = world;
  const result = { violations, trace: sim.trace, encounters };
  /** By session. */
  const latestReply = new Map<string, Delivery>();
  let replies = 0;
  let sends = 0;

  const publish = ({ session = '' }: App, count: number, bytes: number) => {
    const book = books.get(session);
    if (book === undefined) return;
    const messageIds = Array.from({ length: count }, () => `r${++replies}`);
    const deliveries = messageIds.map((messageId) => replyTo(session, messageId, bytes));
    book.published.push(...messageIds);
    book.publishedBytes += deliveries.reduce((sum, { body }) => sum + body.length, 0);
    latestReply.set(session, deliveries.at(-1) as Delivery);
    world.enqueue(...deliveries);
  };

  const execute = async (command: Command) => {
    const app = apps[('who' in command ? command.who : 0) % apps.length] as App;
    switch (command.do) {
      case 'reply':
        return publish(app, command.count, 0);
      case 'large replies':
        return publish(app, command.count, largeBytes);
      case 'reply again': {
        const latest = latestReply.get(app.session ?? '');
        return latest === undefined ? undefined : world.enqueue(latest);
      }
      case 'send':
        return app.send(`${app.name} ${++sends}`);
      case 'send again': {
        const [id] = [...app.sent.keys()].slice(-1);
        return id === undefined ? undefined : app.send(id);
      }
      case 'come':
        return app.come();
      case 'reload':
        return app.reload();
      case 'cut':
        return app.cut(command.quietly);
      case 'cut older':
        return app.cutOlder(command.quietly);
      case 'leave':
        return app.leave(command.quietly);
      case 'fight': {
        if (app.session === undefined || apps.length === mostApps) return;
        const otherHabits = { ...habits, readsBatches: !app.habits.readsBatches };
        const rival = new App(`${app.name}'s rival`, world, books, otherHabits, app);
        apps.push(rival);
        return rival.come();
      }
      case 'kill the consumer':
        return world.killConsumer();
      case 'kill a function':
        return world.killAFunction(command.choice);
      case 'outage':
        for (const label of command.at) sim.arrangeOutage(`${label} before`, command.ms);
        return;
      case 'redeliver':
        return world.redeliver();
      case 'lose a page': {
        const book = books.get(world.loseAPage(command.choice) ?? '');
        if (book !== undefined) book.lostAPage = true;
        return;
      }
      case 'fault':
        return sim.arrangeFault(`${command.at} ${command.moment}`, command.skip);
      case 'wait':
        return sim.run(command.ms);
    }
  };

  for (const app of apps) app.come();
  if (inSession) await sim.run(1000);
  for (const { command, picks } of moves) {
    sim.note(JSON.stringify(command));
    await execute(command);
    for (const pick of picks) await sim.pick(pick);
    if (violations.length > 0) return result;
  }

  sim.note('all faults end');
  sim.clearFaults();
  await expectAll(false);
  sim.note('everybody is cut once more');
  for (const app of apps) app.cut(false);
  await expectAll(true);
  return result;

  /** Whoever has not lost its session to a rival is served, and sees all that was published to it. */
  async function expectAll(isCut: boolean): Promise<void> {
    const served = apps.filter((app) => !app.isTakenOver);
    for (const app of served) app.come();
    // A function that was killed may still refuse a send that is none of its business: its answer names none.
    await sim.run(routeMs);
    const lastSends = new Map(served.map((app) => [app, `${app.name} ${++sends}`]));
    for (const [app, id] of lastSends) app.send(id);
    const hasAll = (app: App) => {
      if (app.isTakenOver) return true;
      const { session = '', seen, sent, isOpen } = app;
      const isAcknowledged = sent.get(lastSends.get(app) ?? '')?.messageId !== undefined;
      return isOpen && isAcknowledged && seen.get(session)?.length === books.get(session)?.published.length;
    };
    const isOver = () => violations.length > 0 || (!world.hasWaiting && served.every(hasAll));
    await sim.run(lastWaitMs, isOver);
    if (isOver() || (world.isLeftOpen && !isCut)) return;
    if (world.hasWaiting) world.violate('the queue of replies is not worked off');
    for (const app of served.filter((app) => !hasAll(app))) {
      const { name, session = '', seen, isOpen, sent } = app;
      const of = `has ${seen.get(session)} of ${books.get(session)?.published} in ${session}`;
      world.violate(`${name}, ${isOpen ? 'open' : 'not open'}, ${of}; ${JSON.stringify([...sent].at(-1))}`);
    }
  }
}

function replyTo(session: string, messageId: string, bytes: number): Delivery {
  const data = { text: 'x'.repeat(bytes), metadata: { socket_id: session } };
  const body = Buffer.from(JSON.stringify({ pattern: { cmd: 'recv' }, data }));
  return { queue: 'ws_queue', body, properties: { messageId }, redelivered: false };
}
