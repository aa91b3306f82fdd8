import { setTimeout as sleep } from 'node:timers/promises';
import type { Connections } from '../connections';
import { GatewayError } from '../errors';
import { errorFrame, type SessionFrame, sessionEndedFrame, sessionFrame } from '../frames';
import type { Metrics } from '../metrics';
import type { Memberships } from './membership';
import { orUnavailable } from './or-unavailable';
import { closeHeld, detach, type Held, tellEnd } from './partings';
import { type ReplayPorts, replay } from './replay';
import type { Claim, Holder, Sessions } from './sessions';
import type { RefusalReason } from './state';

/**
 * What the frames `session` and `received` do. A client that resumes gets the frame that says so and then every reply that
 * it has not, before any later one; or a new session, and why. Both are for one connection, which stays in its session.
 * What is asked in vain is refused by GatewayError: `invalid_message`, and `unavailable` where the store does not answer.
 */
export interface SessionRoutes {
  /** A new session, once every function knows that the connection is in it. */
  open(holder: Holder, id: string | null, deadline: number): Promise<SessionFrame>;
  /**
   * The session of the claim: then all is posted, and undefined is left to answer. Else a new one. A connection that is in
   * that session already gets what it has missed, or is closed.
   */
  resume(holder: Holder, claim: Claim, id: string | null, deadline: number): Promise<SessionFrame | undefined>;
  /** The client has all replies up to `seq`, which has no answer. */
  received(holder: Holder, seq: number, id: string | null, deadline: number): Promise<undefined>;
}

export interface SessionPorts extends ReplayPorts {
  sessions: Sessions;
  connections: Pick<Connections, 'join'>;
  memberships: Memberships;
  metrics: Metrics;
}

/** How long a client waits for a store that does not answer, unless it is to resume. */
const storeMs = 8000;
/** What is kept back from a replay, to take leave of a client that does not take it. */
const partingMs = 5000;

export function createSessionRoutes(ports: SessionPorts): SessionRoutes {
  const { sessions, connections, memberships, metrics } = ports;

  async function open(holder: Holder, id: string | null, deadline: number, reason?: RefusalReason) {
    const { session, token, endsAt } = await orUnavailable(
      sessions.open(holder, Math.min(deadline, Date.now() + storeMs)),
    );
    try {
      await enter(holder, session, endsAt, deadline);
    } catch (error) {
      // It may be in that session all the same, of which its client will never know, and gets into no other.
      if (error instanceof GatewayError && error.code === 'unavailable') {
        const lastFrame = JSON.stringify(errorFrame(id, error));
        await closeHeld({ session, connectionId: holder.connectionId }, lastFrame, deadline, ports);
      }
      throw error;
    }
    metrics.write({ SessionsOpened: 1 });
    return sessionFrame({ id, session, token, resumed: false, ...(reason === undefined ? {} : { reason }), seq: 0 });
  }

  /** Not before those that take the connection for plain have to ask again may its client know of the session. */
  async function enter({ connectionId }: Holder, session: string, endsAt: number, deadline: number): Promise<void> {
    try {
      const joined = await orUnavailable(connections.join(connectionId, session, endsAt));
      if (joined.result === 'in_another') throw secondSession();
      if (joined.result === 'absent') throw new GatewayError('invalid_message', 'This connection has ended.');
      await sleep(Math.max(0, Math.min(joined.plainUntil, deadline) - Date.now()));
    } catch (error) {
      await detach({ session, connectionId }, deadline, ports);
      throw error;
    }
  }

  async function resume(holder: Holder, claim: Claim, id: string | null, deadline: number) {
    const { session, token } = claim;
    const held = { session, connectionId: holder.connectionId };
    const membership = await orUnavailable(memberships.certain(held.connectionId));
    if (membership !== undefined && membership.session !== session) throw secondSession();

    const replayDeadline = deadline - partingMs;
    const resumption = await orUnavailable(sessions.resume(holder, claim, replayDeadline));
    if (resumption.result === 'refused') {
      const { reason } = resumption;
      metrics.write({ SessionsRefused: 1 });
      if (membership === undefined) return open(holder, id, deadline, reason);
      await tellEnd({ ...held, reason }, deadline, ports);
      return undefined;
    }
    if (resumption.result === 'superseded') return leave(held, id, deadline);

    const { seq, endsAt, previous } = resumption;
    const farewell = Promise.all(previous.map((connectionId) => endPrevious(session, connectionId, deadline)));
    try {
      await enter(holder, session, endsAt, replayDeadline);
      // Whoever dies before leaves it to the next.
      await farewell;
      if (membership === undefined) metrics.write({ SessionsResumed: 1 });
      const frame = JSON.stringify(sessionFrame({ id, session, token, resumed: true, seq }));
      const resumed = { ...resumption, readsBatches: holder.readsBatches === true };
      await replay(held, frame, resumed, replayDeadline, deadline, ports);
    } finally {
      await farewell;
    }
    return undefined;
  }

  async function endPrevious(session: string, connectionId: string, deadline: number): Promise<void> {
    const lastFrame = JSON.stringify(sessionEndedFrame(session, 'taken_over'));
    await closeHeld({ session, connectionId }, lastFrame, deadline, ports);
  }

  async function received({ connectionId }: Holder, seq: number, id: string | null, deadline: number) {
    const membership = await orUnavailable(memberships.certain(connectionId));
    if (membership === undefined) throw new GatewayError('invalid_message', 'This connection is in no session.');
    const storeDeadline = Math.min(deadline, Date.now() + storeMs);
    const receipt = await orUnavailable(sessions.received(membership.session, connectionId, seq, storeDeadline));
    if (receipt === 'ahead') throw new GatewayError('invalid_message', 'seq is beyond the last reply of the session.');
    if (receipt !== 'not_holder') return undefined;
    return leave({ session: membership.session, connectionId }, id, deadline);
  }

  /** Another connection has the session: the client of this one, if there is one still, may come again. */
  async function leave(held: Held, id: string | null, deadline: number) {
    await closeHeld(held, JSON.stringify(errorFrame(id, notHeld())), deadline, ports);
    return undefined;
  }

  return { open, resume, received };
}

function secondSession(): GatewayError {
  return new GatewayError('invalid_message', 'This connection is in a session already; connect again for another.');
}

function notHeld(): GatewayError {
  return new GatewayError('unavailable', 'This connection has lost its session; connect again, and resume it.');
}
