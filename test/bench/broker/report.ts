import { inColumns } from '../../../infra/columns';
import { median } from '../statistics';
import type { MeasuredBroker } from './brokers';
import type { Measurement, Workload } from './workloads';

/** The figures as tables, with a verdict for each goal. Of all rounds the medians count, of ratios too. */

type BrokerName = MeasuredBroker['name'];

/** Of each round, by broker. */
type Rounds<T> = Partial<Record<BrokerName, readonly T[]>>;

export interface SpeedRow {
  readonly workload: Workload;
  readonly rounds: Rounds<Measurement>;
}

export interface MemoryRow {
  readonly name: string;
  readonly rounds: Rounds<number>;
}

const GOALS = { throughputRatio: 2, memoryRatio: 0.5, startMs: 50 };

export function speedTable(rows: readonly SpeedRow[]): string {
  const head = [
    'messages/s',
    'embedded',
    'RabbitMQ',
    'ratio',
    'p50 ms',
    'RabbitMQ',
    'ratio',
    'p99 ms',
    'RabbitMQ',
    'goal',
  ];
  return table(head, rows.map(speedCells));
}

export function memoryTable(rows: readonly MemoryRow[]): string {
  const cells = rows.map(({ name, rounds }) => {
    const ratio = ratioOf(rounds);
    const met = ratio === undefined ? '' : verdict(ratio < GOALS.memoryRatio);
    return [name, ...pair(rounds, megabytes), decimals(ratio, 2), met];
  });
  return table(['resident memory, MB', 'embedded', 'RabbitMQ', 'ratio', 'goal'], cells);
}

export function startLine(startsMs: readonly number[]): string {
  const times = startsMs.map((milliseconds) => decimals(milliseconds, 0)).join(', ');
  const met = (medianOf(startsMs) ?? Number.POSITIVE_INFINITY) < GOALS.startMs;
  return `start until a first client has a channel, in new processes, ms: ${times}   ${verdict(met)}`;
}

export const goalsLine =
  `goals: at least ${GOALS.throughputRatio} times RabbitMQ's throughput at a lower p50, ` +
  `less than ${GOALS.memoryRatio} of its memory, a start below ${GOALS.startMs} ms`;

function speedCells({ workload, rounds }: SpeedRow): string[] {
  const throughput = valuesOf(rounds, ({ perSecond }) => perSecond);
  const p50 = valuesOf(rounds, ({ latencyMs }) => latencyMs?.p50);
  const p99 = valuesOf(rounds, ({ latencyMs }) => latencyMs?.p99);
  const [faster, slower] = [ratioOf(throughput), ratioOf(p50)];
  const met =
    faster === undefined ? undefined : faster >= GOALS.throughputRatio && (slower === undefined || slower < 1);
  return [
    workload.name,
    ...pair(throughput, (value) => Math.round(value).toLocaleString('en-US')),
    decimals(faster, 2),
    ...pair(p50, (value) => decimals(value, 3)),
    decimals(slower, 2),
    ...pair(p99, (value) => decimals(value, 1)),
    met === undefined ? '' : workload.measuresBroker ? verdict(met) : '-',
  ];
}

function valuesOf<T>(rounds: Rounds<T>, read: (round: T) => number | undefined): Rounds<number> {
  const values = (name: BrokerName) => (rounds[name] ?? []).flatMap((round) => read(round) ?? []);
  return { embedded: values('embedded'), RabbitMQ: values('RabbitMQ') };
}

/** Round by round, so that what slowed the machine down for a while slowed both. */
function ratioOf({ embedded = [], RabbitMQ = [] }: Rounds<number>): number | undefined {
  return medianOf(RabbitMQ.map((value, round) => (embedded[round] as number) / value));
}

function pair({ embedded = [], RabbitMQ = [] }: Rounds<number>, format: (value: number) => string): string[] {
  return [embedded, RabbitMQ].map((values) => {
    const value = medianOf(values);
    return value === undefined ? '' : format(value);
  });
}

/** A broker that is not there has measured nothing. */
function medianOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : median(values);
}

const megabytes = (bytes: number) => decimals(bytes / 1024 / 1024, 0);
const decimals = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '';
const verdict = (met: boolean) => (met ? 'met' : 'MISSED');

/** Columns with nothing in them, as those of a RabbitMQ that is not there, are left out. */
function table(titles: readonly string[], allCells: readonly (readonly string[])[]): string {
  const filled = [...titles.keys()].filter((column) => allCells.some((row) => row[column]));
  return inColumns([titles, ...allCells].map((row) => filled.map((column) => row[column] ?? '')));
}
