import type { Connections, Membership } from '../connections';
import { before } from '../deadline';

/**
 * Which session a connection is in, as this process remembers it. A connection is in at most one and never leaves it: what
 * was found once holds for good. That it is in none holds for one message or, where another follows soon, for a lease, of
 * which the connection table tells whoever puts the connection into a session meanwhile. A lease costs five times as much
 * as a look; while messages go on, one follows the other.
 */
export interface Memberships {
  /**
   * For a message that may go without a session: the table is waited for only a moment. Where it does not answer, the
   * connection is taken for plain, at the second time until the next lease. Never rejects. At most two calls of the table
   * in the time of a lease, three where it takes no writes.
   */
  likely(connectionId: string): Promise<Membership | undefined>;
  /** Rejects where the table does not answer within six seconds. */
  certain(connectionId: string): Promise<Membership | undefined>;
}

/** How long a connection is taken for plain, once it was found to be, before the table is asked again. */
const leaseMs = 2500;
/** What the table is told on top of it: clocks differ, and a message may be on its way when its lease ends. */
const marginMs = 500;
/** From the asking on. In a cold function the first look takes half of it. */
const patienceMs = 1000;
const mostRemembered = 10_000;

interface Asked {
  at: number;
  isLease: boolean;
  /** Undefined, too, where the table did not answer in time. */
  found: Promise<Membership | undefined>;
}

/** @param membershipOf as `membership` of the connection table. */
export function rememberedMemberships(membershipOf: Connections['membership']): Memberships {
  const members = new Map<string, Membership>();
  const asked = new Map<string, Asked>();

  const recall = (connectionId: string) => {
    const membership = members.get(connectionId);
    if (membership !== undefined) remember(members, connectionId, membership);
    return membership;
  };
  const ask = async (connectionId: string, plainUntil?: number) => {
    const membership = await membershipOf(connectionId, plainUntil);
    if (membership !== undefined) remember(members, connectionId, membership);
    return membership;
  };
  const askedOf = (connectionId: string, now: number) => {
    const last = asked.get(connectionId);
    const agoMs = last === undefined ? Number.POSITIVE_INFINITY : now - last.at;
    if (last?.isLease && agoMs < leaseMs) return last;
    // Who has gone on sending has the next lease without a look before it.
    const isLease = agoMs < (last?.isLease ? 2 * leaseMs : leaseMs);
    const look = () => ask(connectionId);
    // A table that takes no writes may still be read.
    const asking = isLease ? ask(connectionId, now + leaseMs + marginMs).catch(look) : look();
    // Messages that came one after the other go on in that order.
    const inTurn = Promise.all([
      before(
        now + patienceMs,
        asking.catch(() => undefined),
      ),
      last?.found,
    ]);
    const question = { at: now, isLease, found: inTurn.then(([membership]) => membership) };
    remember(asked, connectionId, question);
    return question;
  };

  return {
    async likely(connectionId) {
      const membership = recall(connectionId);
      if (membership !== undefined) return membership;
      const { found } = askedOf(connectionId, Date.now());
      return (await found) ?? recall(connectionId);
    },

    certain: async (connectionId) => recall(connectionId) ?? ask(connectionId),
  };
}

/** As the latest; the one that was the latest longest ago is forgotten. */
function remember<V>(map: Map<string, V>, connectionId: string, value: V): void {
  map.delete(connectionId);
  map.set(connectionId, value);
  if (map.size <= mostRemembered) return;
  const [oldest] = map.keys();
  map.delete(oldest as string);
}
