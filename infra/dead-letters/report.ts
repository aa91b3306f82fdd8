import { printable, printableJson, textOrBase64 } from './printable';
import type { DeadLetterQueue, Letter } from './queue';
import { originalQueueOf, type Replayed } from './verbs';

/**
 * What the operator is told of dead letters, as text for a terminal and as JSON. What stands in a letter is a stranger's:
 * in the text it is made printable, and cut in the table; in the JSON it is exact.
 */

export interface Report {
  text: string;
  json: Record<string, unknown>;
}

export interface Summary {
  n: number;
  firstSeen: unknown;
  verdict: unknown;
  reason: unknown;
  attempts: unknown;
  /** Where a replay takes it. */
  originalQueue: string;
  messageId: string | null;
  bytes: number;
}

/** Of the letter's headers whatever is there, null where nothing is; never its body. */
export function summaryOf(letter: Letter, queue: DeadLetterQueue): Summary {
  const { n, body, properties } = letter;
  const { headers = {}, messageId } = properties;
  return {
    n,
    firstSeen: headers['x-first-seen'] ?? null,
    // RabbitMQ has a word of its own on what it dead-lettered itself.
    verdict: headers['x-verdict'] ?? headers['x-first-death-reason'] ?? null,
    reason: headers['x-reason'] ?? null,
    attempts: headers['x-attempts'] ?? null,
    originalQueue: originalQueueOf(letter, queue),
    messageId: messageId ?? null,
    bytes: body.length,
  };
}

const columns = ['n', 'first seen', 'verdict', 'reason', 'attempts', 'original queue', 'messageId', 'bytes'];

export function listReport({ name }: DeadLetterQueue, total: number, summaries: readonly Summary[]): Report {
  const rows = summaries.map((summary) => Object.values(summary).map(cell));
  const text =
    total === 0 ? `${name} is empty.` : `${table([columns, ...rows])}\n${summaries.length} of ${total} shown.`;
  return { text, json: { queue: name, total, letters: summaries } };
}

export function letterReport({ name }: DeadLetterQueue, { n, body, properties }: Letter): Report {
  const { headers = {}, ...others } = properties;
  const written = textOrBase64(body);
  const text = [
    `Letter ${n} of ${name}`,
    ...lines(others, ''),
    ...(Object.keys(headers).length > 0 ? ['headers', ...lines(headers, '  ')] : []),
    `body, ${body.length} bytes${written.encoding === 'utf8' ? '' : ' that are no printable text, in base64'}:`,
    // A body has lines of its own, and the last word.
    ...written.body.split(/\r?\n/).map((line) => line.split('\t').map(printable).join('\t')),
  ].join('\n');
  return { text, json: { queue: name, n, properties, bytes: body.length, ...written } };
}

export function dropReport(queue: DeadLetterQueue, letter: Letter): Report {
  const { n, messageId, verdict, reason } = summaryOf(letter, queue);
  const text = `Dropped ${nameOf(letter)}, verdict ${cell(verdict)}, reason: ${cell(reason)}`;
  return { text, json: { queue: queue.name, dropped: { n, messageId, verdict, reason } } };
}

export function replayReport(queue: DeadLetterQueue, outcome: Replayed): Report {
  const { replayed, remain, letter, stopped, twice } = outcome;
  const text = [
    letter
      ? `Replayed ${nameOf(letter)} to ${originalQueueOf(letter, queue)}.`
      : `Replayed ${replayed} of ${replayed + remain}.`,
    ...(stopped ? [`Stopped${stopped.at ? ` at ${nameOf(stopped.at)}` : ''}: ${stopped.reason}.`] : []),
    ...(twice ? [`There may be two now of ${nameOf(twice)}.`] : []),
  ].join(' ');
  const json = {
    queue: queue.name,
    replayed,
    remain,
    stopped: stopped ? { reason: stopped.reason, at: stopped.at ? idOf(stopped.at) : null } : null,
    twice: twice ? idOf(twice) : null,
  };
  return { text: printable(text), json };
}

/** On one line, printable. */
export function nameOf(letter: Letter): string {
  const { n, messageId } = idOf(letter);
  return `letter ${n} (${messageId === null ? 'without messageId' : `messageId ${printable(messageId)}`})`;
}

function idOf({ n, properties }: Letter): { n: number; messageId: string | null } {
  return { n, messageId: properties.messageId ?? null };
}

const longestCell = 60;

function cell(value: unknown): string {
  const text = inWords(value);
  return widthOf(text) > longestCell ? `${[...text].slice(0, longestCell - 1).join('')}…` : text;
}

function inWords(value: unknown): string {
  if (value === null) return '-';
  return typeof value === 'string' ? printable(value) : printableJson(value);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = columns.map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[column] ?? '')), 0),
  );
  const padded = rows.map((row) =>
    row
      .map((text, column) => text + ' '.repeat((widths[column] ?? 0) - widthOf(text)))
      .join('  ')
      .trimEnd(),
  );
  return padded.join('\n');
}

/** In code points; a string's length counts an emoji twice. */
function widthOf(text: string): number {
  return [...text].length;
}

function lines(fields: object, indent: string): string[] {
  return Object.entries(fields).map(([name, value]) => `${indent}${printable(name)}: ${inWords(value)}`);
}
