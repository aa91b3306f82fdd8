import { acknowledging } from './scenarios/acknowledging';
import { bindings } from './scenarios/bindings';
import { channel } from './scenarios/channel';
import { confirms } from './scenarios/confirms';
import { connection } from './scenarios/connection';
import { consuming } from './scenarios/consuming';
import { contents } from './scenarios/contents';
import { deadLetterRecords } from './scenarios/dead-letter-records';
import { deadLetters } from './scenarios/dead-letters';
import { detours } from './scenarios/detours';
import { directReplies } from './scenarios/direct-replies';
import { exchanges } from './scenarios/exchanges';
import { frames } from './scenarios/frames';
import { getting } from './scenarios/getting';
import { handshake } from './scenarios/handshake';
import { limitsOfLength } from './scenarios/limits-length';
import { limitsOfTime } from './scenarios/limits-time';
import { limitsOfTurns } from './scenarios/limits-turns';
import { names } from './scenarios/names';
import { prefetch } from './scenarios/prefetch';
import { publishing } from './scenarios/publishing';
import { queueArguments } from './scenarios/queue-arguments';
import { queueLifetimes } from './scenarios/queue-lifetimes';
import { queues } from './scenarios/queues';
import { quorum } from './scenarios/quorum';
import { quorumDeliveries } from './scenarios/quorum-deliveries';
import { quorumLimits } from './scenarios/quorum-limits';
import { returning } from './scenarios/returning';
import { routing } from './scenarios/routing';
import { transactions } from './scenarios/transactions';
import { turns } from './scenarios/turns';
import type { Scenario } from './script';

/** The scenarios by area; each area has its file of recorded transcripts. */
export const AREAS: Readonly<Record<string, readonly Scenario[]>> = {
  bindings,
  channel,
  connection,
  detours,
  exchanges,
  frames,
  handshake,
  names,
  routing,
  queues: [...queues, ...queueLifetimes, ...queueArguments],
  limits: [...limitsOfTime, ...limitsOfLength, ...limitsOfTurns],
  'dead-letters': [...deadLetters, ...deadLetterRecords],
  quorum: [...quorum, ...quorumDeliveries, ...quorumLimits],
  publishing: [...publishing, ...contents],
  confirms,
  transactions,
  consuming: [...consuming, ...getting, ...prefetch, ...turns],
  acknowledging: [...acknowledging, ...returning],
  'direct-replies': directReplies,
};
