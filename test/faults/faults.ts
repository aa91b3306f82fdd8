import { appendFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { Books, Counts, Row } from './books';
import { type Rig, type RigOptions, startRig } from './rig';

/** A fault of the suite: the gateway at work under a load, what strikes it, and the line in the table at the end. */

/** The broker on which the faults strike; started by the suite. */
export interface TestBroker {
  /** As in the table. */
  name: string;
  url(): string;
}

/** What is struck, with the books on its load: the rig, unless a suite has another. */
export interface Ground {
  books: Books;
  account(): Promise<Counts>;
  stop(): Promise<void>;
}

/**
 * Runs the load and lets the fault strike; resolves once both are over. What it returns is checked against the row: that
 * the fault did strike.
 */
export type Strike<Struck extends Ground = Rig> = (struck: Struck) => Promise<(row: Row) => void | Promise<void>>;

/** The least load under which a fault counts. */
export const leastMessages = 500;
const timeoutMs = 150_000;

export function fault(broker: TestBroker, name: string, options: RigOptions, strike: Strike): void {
  faultOn(
    broker,
    name,
    () => startRig(broker.url(), options),
    async (rig) => {
      const check = await strike(rig);
      return (row) => {
        expect(rig.crashes()).toBe(0);
        return check(row);
      };
    },
  );
}

export function faultOn<Struck extends Ground>(
  broker: Pick<TestBroker, 'name'>,
  name: string,
  start: () => Promise<Struck>,
  strike: Strike<Struck>,
): void {
  test(
    name,
    async () => {
      const struck = await start();
      try {
        const check = await strike(struck);
        const row: Row = { fault: name, broker: broker.name, ...(await struck.account()) };
        const { FAULT_TABLE } = process.env;
        if (FAULT_TABLE) appendFileSync(FAULT_TABLE, `${JSON.stringify(row)}\n`);
        expect(struck.books.lost()).toEqual([]);
        expect(row.messages).toBeGreaterThanOrEqual(leastMessages);
        await check(row);
      } finally {
        await struck.stop();
      }
    },
    timeoutMs,
  );
}
