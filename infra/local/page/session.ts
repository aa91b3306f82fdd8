import type { Reply, Session } from '../../../lib/client';
import { byId, make, timeText } from './dom';

/** What is known of the session: its public id, since when, how often it was resumed, and the last reply in it. */
export class SessionFacts {
  readonly #list = byId('session', HTMLElement);
  #id = '';
  #began = '';
  #resumed = 0;
  #resumedAt = '';
  #lastSeq = 0;

  constructor() {
    this.#write();
  }

  show({ session, resumed, seq }: Session): void {
    const now = timeText(new Date());
    if (session !== this.#id) {
      this.#began = resumed ? 'before this page was loaded' : now;
      this.#resumed = 0;
    }
    if (resumed) {
      this.#resumed += 1;
      this.#resumedAt = now;
    }
    this.#id = session;
    this.#lastSeq = seq;
    this.#write();
  }

  received({ seq }: Reply): void {
    if (seq === undefined) return;
    this.#lastSeq = seq;
    this.#write();
  }

  #write(): void {
    const times = this.#resumed === 1 ? 'once' : `${this.#resumed} times, last`;
    const facts: [string, string | HTMLElement][] = [
      ['Id', this.#id ? make('code', {}, this.#id) : 'none yet'],
      ['Began', this.#began || '–'],
      ['Resumed', this.#resumed === 0 ? 'never' : `${times} at ${this.#resumedAt}`],
      ['Last reply', this.#lastSeq === 0 ? 'none yet' : `number ${this.#lastSeq}`],
    ];
    this.#list.replaceChildren(...facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
  }
}
