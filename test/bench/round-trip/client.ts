import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../rounds';

/**
 * Clients that send a message, await its reply, send the next, and the books of what became of each message: a client
 * knows what it sent, so that a reply to another is no answer of its own.
 */

export interface Client {
  /** One message at least, and more until then; resolves once all are acknowledged and answered, or refused. */
  takeTurn(until: number): Promise<void>;
  /** Of all messages since it was asked before. */
  account(): Account;
}

export interface Account {
  messages: readonly Message[];
  /** Replies to messages of others. */
  misdelivered: number;
  /** Replies to a message that had one: at least once is what is promised. */
  duplicates: number;
}

/** When what came back of it, by the clock of `performance`. */
type Message = { sentAt: number } & Partial<Record<Answer, number>>;

export type Answer = 'acked' | 'replied' | 'refused';

/** @param id none where the answer does not name it: then it is of the message that was sent last. */
export type Heard = (answer: Answer, id?: string) => void;

/** Connects to a gateway, of which all that comes back is to be heard; resolves with what sends. */
export type Connect = (heard: Heard) => Promise<(id: string) => void>;

/** What came of a turn of all, each message in one of them: `acked` less `lost` came back. */
export interface TurnFigures extends Figures {
  /** Replies within the turn. */
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  acked: number;
  /** Acknowledged, and not answered within the patience after the turn. */
  lost: number;
  /** Answered with an error. */
  refused: number;
  /** Neither acknowledged nor refused within the patience. */
  unacked: number;
  misdelivered: number;
  duplicates: number;
}

/** @param name that no other client has. */
export async function openClient(name: string, connect: Connect): Promise<Client> {
  // Also those of earlier turns: a second reply may come late.
  const sent = new Map<string, Message>();
  let account = { messages: [] as Message[], misdelivered: 0, duplicates: 0 };
  let lastId = '';
  let wake = () => {};
  const send = await connect((answer, id = lastId) => {
    const message = sent.get(id);
    if (message === undefined) account.misdelivered += 1;
    else if (answer === 'replied' && message.replied !== undefined) account.duplicates += 1;
    else message[answer] ??= performance.now();
    wake();
  });
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    async takeTurn(endsAt) {
      do {
        const message: Message = { sentAt: performance.now() };
        lastId = `${name}.${sent.size}`;
        sent.set(lastId, message);
        account.messages.push(message);
        send(lastId);
        await until(() => message.replied !== undefined || message.refused !== undefined);
      } while (performance.now() < endsAt);
      const { messages } = account;
      await until(() => messages.every(isSettled));
    },
    account() {
      const taken = account;
      account = { messages: [], misdelivered: 0, duplicates: 0 };
      return taken;
    },
  };
}

export async function takeTurns(clients: readonly Client[], ms: number, patienceMs: number): Promise<TurnFigures> {
  const endsAt = performance.now() + ms;
  const turns = Promise.all(clients.map((client) => client.takeTurn(endsAt)));
  await Promise.race([turns, sleep(ms + patienceMs, undefined, { ref: false })]);
  const accounts = clients.map((client) => client.account());
  const messages = accounts.flatMap((account) => account.messages);
  const count = (holds: (message: Message) => boolean) => messages.filter(holds).length;
  const latencies = messages.flatMap(({ sentAt, replied }) => (replied === undefined ? [] : replied - sentAt));
  const sorted = latencies.sort((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return {
    perSecond: count(({ replied = Number.POSITIVE_INFINITY }) => replied <= endsAt) / (ms / 1000),
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    acked: count(({ acked }) => acked !== undefined),
    lost: count(({ acked, replied }) => acked !== undefined && replied === undefined),
    refused: count(({ refused }) => refused !== undefined),
    unacked: count(({ acked, refused }) => acked === undefined && refused === undefined),
    misdelivered: accounts.reduce((sum, { misdelivered }) => sum + misdelivered, 0),
    duplicates: accounts.reduce((sum, { duplicates }) => sum + duplicates, 0),
  };
}

function isSettled({ acked, replied, refused }: Message): boolean {
  return refused !== undefined || (acked !== undefined && replied !== undefined);
}
