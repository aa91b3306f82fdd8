import type { SessionState } from '../../lib/session/state';
import type { SessionStore } from '../../lib/session/store';

/**
 * The session store in memory. Each operation is one effect between two steps; whoever gives `step` decides when it goes on,
 * and may let it fail: a rejection before the effect is a request that did not arrive, one after it an answer that was lost.
 * Several stores on the same records are several processes on the same table. Nothing expires by itself.
 */

export interface SessionRecords {
  /** By session; the state as JSON text. */
  states: Map<string, { state: string; version: number }>;
  /** By session, then by page id. */
  pages: Map<string, Map<string, { frames: readonly string[]; expiresAt: number }>>;
}

export interface StoreStep {
  operation: keyof SessionStore;
  moment: 'before' | 'after';
  session: string;
}

export function noSessionRecords(): SessionRecords {
  return { states: new Map(), pages: new Map() };
}

export function memorySessionStore(
  records: SessionRecords = noSessionRecords(),
  step: (step: StoreStep) => Promise<void> = async () => undefined,
): SessionStore {
  const { states, pages } = records;

  async function effect<T>(operation: keyof SessionStore, session: string, act: () => T): Promise<T> {
    await step({ operation, moment: 'before', session });
    const result = act();
    await step({ operation, moment: 'after', session });
    return result;
  }

  return {
    load: (session) =>
      effect('load', session, () => {
        const found = states.get(session);
        return found && { state: JSON.parse(found.state) as SessionState, version: found.version };
      }),

    save: (state, version) => {
      const written = { state: JSON.stringify(state), version: version + 1 };
      return effect('save', state.session, () => {
        if ((states.get(state.session)?.version ?? 0) !== version) return 'conflict';
        states.set(state.session, written);
        return 'saved';
      });
    },

    putPage: (session, pageId, frames, expiresAt) => {
      const written = { frames: [...frames], expiresAt };
      return effect('putPage', session, () => {
        const ofSession = pages.get(session) ?? new Map();
        pages.set(session, ofSession.set(pageId, written));
      });
    },

    pages: (session, pageIds) =>
      effect('pages', session, () => {
        const ofSession = pages.get(session);
        const found = pageIds.flatMap((id) => {
          const page = ofSession?.get(id);
          return page === undefined ? [] : [[id, page.frames] as const];
        });
        return new Map(found);
      }),

    deletePages: (session, pageIds) =>
      effect('deletePages', session, () => {
        for (const id of pageIds) pages.get(session)?.delete(id);
      }),
  };
}
