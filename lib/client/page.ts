/** What a page has, and Node has not. */
interface Page {
  addEventListener?: Listen;
  document?: { hidden: boolean; addEventListener: Listen };
}
type Listen = (event: string, listener: () => void, options: { signal: AbortSignal }) => void;

/** Calls `wake` when the network is back, or the person. @returns what ends it. */
export function onReturn(wake: () => void): AbortController {
  const page = globalThis as Page;
  const life = new AbortController();
  const returned = () => page.document?.hidden || wake();
  page.addEventListener?.('online', returned, life);
  page.document?.addEventListener('visibilitychange', returned, life);
  return life;
}
