/**
 * The books on a load: what was promised of each message, and what became of it, by its id. A message is promised once
 * the client saw its ack, once a service has it, or, for a reply that a test lays into the queue, once the broker
 * has confirmed it. It is lost while it is promised and neither arrived, nor lies among the dead letters, nor was
 * for a client that had gone.
 */

/** The line of a fault in the table; all but the names are counts of messages. */
export interface Row {
  fault: string;
  broker: string;
  messages: number;
  acked: number;
  delivered: number;
  deadLettered: number;
  gone: number;
  lost: number;
  /** Copies beyond the first, at the service or at the client; a copy bears the id of its original. */
  duplicated: number;
}

export type Counts = Omit<Row, 'fault' | 'broker'>;

export class Books {
  messages = 0;
  readonly acked = new Set<string>();
  /** Codes of the error frames, and how often they came; `none` where a client had no answer at all. */
  readonly refused = new Map<string, number>();
  /** Of the dead letters, by the id of the reply. */
  readonly verdicts = new Map<string, string>();
  readonly #promised = new Map<string, { connectionId: string }>();
  readonly #atService = new Map<string, number>();
  readonly #arrived = new Map<string, number>();
  readonly #letters = new Map<string, number>();
  readonly #goneConnections = new Set<string>();

  ack(id: string, connectionId: string): void {
    this.acked.add(id);
    this.#promised.set(id, { connectionId });
  }

  refuse(code: string): void {
    count(this.refused, code);
  }

  /** Answers to clients so far, of any kind. */
  get answers(): number {
    return this.acked.size + [...this.refused.values()].reduce((sum, times) => sum + times, 0);
  }

  service(id: string, connectionId: string): void {
    count(this.#atService, id);
    this.#promised.set(id, { connectionId });
  }

  arrive(id: string): void {
    count(this.#arrived, id);
  }

  letter(id: string, verdict: string): void {
    count(this.#letters, id);
    this.verdicts.set(id, verdict);
  }

  /** What does not arrive at this connection from now on is gone, not lost. */
  goneConnection(connectionId: string): void {
    this.#goneConnections.add(connectionId);
  }

  hasArrived(id: string): boolean {
    return this.#arrived.has(id);
  }

  isDeadLetter(id: string): boolean {
    return this.#letters.has(id);
  }

  /** In the order in which a service had them first, which is that of their replies. */
  servedTo(connectionId: string): string[] {
    return this.#of(connectionId, this.#atService);
  }

  /** In the order in which they came first. */
  arrivedAt(connectionId: string): string[] {
    return this.#of(connectionId, this.#arrived);
  }

  lost(): string[] {
    return this.#unarrived().filter((id) => !this.#isGone(id));
  }

  counts(): Counts {
    return {
      messages: this.messages,
      acked: this.acked.size,
      delivered: this.#arrived.size,
      deadLettered: this.#letters.size,
      gone: this.#unarrived().filter((id) => this.#isGone(id)).length,
      lost: this.lost().length,
      duplicated: copies(this.#atService) + copies(this.#arrived) + copies(this.#letters),
    };
  }

  #unarrived(): string[] {
    return [...this.#promised.keys()].filter((id) => !this.#arrived.has(id) && !this.#letters.has(id));
  }

  #of(connectionId: string, ids: ReadonlyMap<string, unknown>): string[] {
    return [...ids.keys()].filter((id) => this.#promised.get(id)?.connectionId === connectionId);
  }

  #isGone(id: string): boolean {
    return this.#goneConnections.has(this.#promised.get(id)?.connectionId ?? '');
  }
}

function count(times: Map<string, number>, key: string): void {
  times.set(key, (times.get(key) ?? 0) + 1);
}

function copies(times: Map<string, number>): number {
  return [...times.values()].reduce((sum, n) => sum + n - 1, 0);
}
