import { problem } from './problems';
import type { Events } from './types';

/** The application's listeners. One that throws is told as an error, and holds up nobody. */

export interface Listeners {
  on<E extends keyof Events>(event: E, listener: (event: Events[E]) => void): () => void;
  tell<E extends keyof Events>(event: E, value: Events[E]): void;
}

export function createListeners(): Listeners {
  // An object for each registration: the same function twice is two of them.
  const registered = new Set<{ event: keyof Events; listener: (value: never) => void }>();

  const tell: Listeners['tell'] = (event, value) => {
    for (const registration of [...registered]) {
      if (registration.event !== event || !registered.has(registration)) continue;
      try {
        registration.listener(value as never);
      } catch (cause) {
        // Browsers show it where uncaught errors are shown; Node has no such function.
        (globalThis as { reportError?: (error: unknown) => void }).reportError?.(cause);
        if (event !== 'error') tell('error', problem('listener_failed', undefined, cause));
      }
    }
  };
  return {
    on(event, listener) {
      const registration = { event, listener };
      registered.add(registration);
      return () => void registered.delete(registration);
    },
    tell,
  };
}
