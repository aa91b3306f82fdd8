import type { Options } from './types';

/** What of a session outlives the page. A storage that throws (it is full, or forbidden) costs that, and nothing else. */

/** What is needed to resume a session, in the words of the frame that does it. */
export interface Claim {
  session: string;
  token: string;
  /** The last reply that was handed over. */
  after: number;
}

/** Whatever is there: the gateway refuses what is no claim. */
export function load(storage: Options['storage'], key: string): Claim | undefined {
  try {
    return JSON.parse(storage?.getItem(key) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

export function save(storage: Options['storage'], key: string, claim: Claim): void {
  try {
    storage?.setItem(key, JSON.stringify(claim));
  } catch {}
}
