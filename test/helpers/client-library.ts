import { WebSocket } from 'ws';
import { openGateway } from '../../lib/client/gateway';
import { type Timing, timing } from '../../lib/client/timing';
import type { Events, Gateway, Options } from '../../lib/client/types';
import { type Connection, ScriptedGateway } from './scripted-gateway';

/** The client library on a scripted gateway, with short pauses, and with a record of all that it told. */
export interface Rig {
  server: ScriptedGateway;
  connect(options?: Options, hasten?: Partial<Timing>): Recorded;
  stop(): Promise<void>;
}

export interface Recorded extends Gateway {
  told: { [E in keyof Events]: Events[E][] };
  /** Resolves with the next event, or the first from now on that fits. */
  tells<E extends keyof Events>(event: E, fits?: (value: Events[E]) => boolean): Promise<Events[E]>;
}

export const quick: Partial<Timing> = { pauseMs: 1, receivedMs: 5, gapMs: 30 };

export async function startRig(): Promise<Rig> {
  const server = await ScriptedGateway.start();
  const gateways: Gateway[] = [];
  return {
    server,
    connect(options = {}, hasten = {}) {
      const gateway = record(openGateway(server.url, WebSocket, options, { ...timing, ...quick, ...hasten }));
      gateways.push(gateway);
      return gateway;
    },
    async stop() {
      for (const gateway of gateways) gateway.close();
      await server.stop();
    },
  };
}

function record(gateway: Gateway): Recorded {
  const told: Recorded['told'] = { recv: [], state: [], session: [], error: [] };
  for (const event of Object.keys(told) as (keyof Events)[]) {
    gateway.on(event, (value) => (told[event] as unknown[]).push(value));
  }
  const tells: Recorded['tells'] = (event, fits = () => true) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`No such "${event}"; told: ${JSON.stringify(told)}`)), 10_000);
      const off = gateway.on(event, (value) => {
        if (!fits(value)) return;
        clearTimeout(timer);
        off();
        resolve(value);
      });
    });
  return Object.defineProperties({ told, tells } as Recorded, Object.getOwnPropertyDescriptors(gateway));
}

/** Lets the client in, with a session of this name. */
export async function admit(server: ScriptedGateway, session = 'session_A'): Promise<Connection> {
  const connection = await server.connection();
  await connection.claimed({ session, token: `secret of ${session}`, resumed: false, seq: 0 });
  return connection;
}

/** Lets it resume. @param seq of the last reply that is stored. */
export async function readmit(server: ScriptedGateway, seq: number, session = 'session_A'): Promise<Connection> {
  const connection = await server.connection();
  await connection.claimed({ session, token: `secret of ${session}`, resumed: true, seq });
  return connection;
}

/** The reply `seq` of a session. */
export function reply(seq: number, fields: Record<string, unknown> = {}): Record<string, unknown> {
  return { event: 'recv', seq, messageId: `r-${seq}`, data: { seq }, ...fields };
}

/** A storage for one page and the next. */
export function memoryStorage(): {
  items: Map<string, string>;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
} {
  const items = new Map<string, string>();
  return { items, getItem: (key) => items.get(key) ?? null, setItem: (key, value) => void items.set(key, value) };
}
