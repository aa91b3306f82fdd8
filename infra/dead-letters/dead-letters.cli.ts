import { parseArgs } from 'node:util';
import { readConfig } from '../../lib/config';
import { brokerAt } from '../../lib/credentials';
import { before } from '../../lib/deadline';
import { reasonOf } from '../../lib/reason';
import { logInToAws } from '../operator';
import { printable, printableJson } from './printable';
import { type DeadLetterQueue, Interrupted, openDeadLetterQueue } from './queue';
import {
  dropReport,
  letterReport,
  listReport,
  nameOf,
  type Report,
  replayReport,
  type Summary,
  summaryOf,
} from './report';
import { drop, list, type NoLetter, replay, show } from './verbs';

/** `npm run dead-letters`: an operator looks at the dead letters on the broker of AMQP_URL, replays or drops them. */
const help = `Looks at the replies that could not be delivered, replays or drops them.

  AMQP_URL=amqps://user:password@host:5671 npm run dead-letters -- list

  list [--limit N]     the first N (100), one line each, without their bodies
  show <n>             all of letter n: properties, headers, body
  replay <n> | --all   publishes letter n, or all that are there now, to the queue they came from
  drop <n>             removes letter n for good
  --json               one line of JSON instead: npm run --silent dead-letters -- list --json
  --help               this

n is the place in the queue, from 1. Where somebody else takes letters at the same time, places are those among what is
left. A letter that is replayed leaves only once the broker has confirmed it where it goes; after a fault there may be
two of it, with the same messageId. --all stops at the first letter that cannot be published.

A quorum queue drops what came back too often. There every command lays all letters down anew, in their order, and takes
some milliseconds for each.

AMQP_SECRET_ARN names a secret of AWS Secrets Manager with the user and password; then AMQP_URL has none.
WS_QUEUE (ws_queue) names the queue of replies; its dead letters lie in <WS_QUEUE>.dead.

Ends with 0 when it is done; 1 when it could not be done, or not wholly; 2 when it was called wrongly.
With --json an error is still one line on stderr; only a replay that began and stopped tells it in its JSON.`;

/** Called wrongly: told in one line. */
class UsageError extends Error {}

type Verb = 'list' | 'show' | 'replay' | 'drop';

type Command = { json: boolean } & (
  | { verb: 'list'; limit: number }
  | { verb: 'show' | 'drop'; n: number }
  | { verb: 'replay'; which: number | 'all' }
);

const goodbyeMs = 5000;

/** The exit code. */
async function main(): Promise<number> {
  const command = parsed(process.argv.slice(2));
  if (command === 'help') {
    console.log(help);
    return 0;
  }
  const { AMQP_URL, AMQP_SECRET_ARN, WS_QUEUE } = readConfig(['AMQP_URL', 'AMQP_SECRET_ARN', 'WS_QUEUE']);
  if (AMQP_SECRET_ARN !== undefined) await logInToAws();
  const interrupt = new AbortController();
  // The first lets the letter in hand come to its end. The next ends the process: the broker takes back what it lent.
  process.once('SIGINT', () => interrupt.abort());
  const queue = await openDeadLetterQueue(brokerAt(AMQP_URL, AMQP_SECRET_ARN), WS_QUEUE, interrupt.signal);
  try {
    const { text, json, done } = await carriedOut(command, queue);
    if (command.json) console.log(printableJson(json));
    else console[done ? 'log' : 'error'](text);
    return done ? 0 : 1;
  } finally {
    await before(Date.now() + goodbyeMs, queue.close());
  }
}

const usages: Record<Verb, { usage: string; takes: string[] }> = {
  list: { usage: 'list [--limit N]', takes: ['', '--limit'] },
  show: { usage: 'show <n>', takes: ['n'] },
  replay: { usage: 'replay <n> | --all', takes: ['n', '--all'] },
  drop: { usage: 'drop <n>', takes: ['n'] },
};

const whatToDo = 'say what to do: list, show, replay or drop';

function parsed(args: string[]): Command | 'help' {
  const { values, positionals } = valid(() =>
    parseArgs({
      args,
      allowPositionals: true,
      options: {
        limit: { type: 'string' },
        all: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }),
  );
  if (values.help) return 'help';
  const { limit, all = false, json = false } = values;
  const [verb, ...numbers] = positionals;
  if (verb === undefined) throw new UsageError(whatToDo);
  if (!isVerb(verb)) throw new UsageError(`${whatToDo}, not '${verb}'`);
  const given = [...numbers.map(() => 'n'), ...(all ? ['--all'] : []), ...(limit === undefined ? [] : ['--limit'])];
  const { usage, takes } = usages[verb];
  if (!takes.includes(given.join(' '))) throw new UsageError(`usage: ${usage}`);
  const [n = ''] = numbers;
  if (verb === 'list') return { verb, json, limit: limit === undefined ? 100 : whole(limit, usage) };
  if (verb === 'replay') return { verb, json, which: all ? 'all' : whole(n, usage) };
  return { verb, json, n: whole(n, usage) };
}

function valid<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Node's advice about positional arguments fills lines and does not fit.
    throw new UsageError(reasonOf(error).split(/\. |\n/)[0]);
  }
}

function isVerb(text: string): text is Verb {
  return Object.hasOwn(usages, text);
}

function whole(text: string, usage: string): number {
  const number = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new UsageError(`'${text}' is no whole number from 1; usage: ${usage}`);
}

async function carriedOut(command: Command, queue: DeadLetterQueue): Promise<Report & { done: boolean }> {
  if (command.verb === 'replay') {
    const replayed = there(await replay(queue, command.which));
    return { ...replayReport(queue, replayed), done: replayed.stopped === undefined };
  }
  if (command.verb === 'list') {
    const summaries: Summary[] = [];
    const total = await list(queue, command.limit, (letter) => summaries.push(summaryOf(letter, queue)));
    return { ...listReport(queue, total, summaries), done: true };
  }
  return command.verb === 'show'
    ? { ...letterReport(queue, there(await show(queue, command.n))), done: true }
    : { ...dropReport(queue, there(await drop(queue, command.n))), done: true };
}

function there<T extends object>(found: T | NoLetter): T {
  if ('missing' in found) throw new Error(found.missing);
  return found;
}

function inOneLine(error: unknown): string {
  const doubt = error instanceof Interrupted && error.inHand;
  return (
    printable(reasonOf(error)) + (doubt ? `; ${nameOf(doubt)} may lie there still, or twice: list them again` : '')
  );
}

// Whoever reads may have had enough, as head.
process.stdout.on('error', () => undefined);

main()
  .catch((error: unknown) => {
    const hint = error instanceof UsageError ? ' (npm run dead-letters -- --help)' : '';
    console.error(inOneLine(error) + hint);
    return error instanceof UsageError ? 2 : 1;
  })
  // What a broken connection still waits for does not keep the process; what was written leaves first.
  .then((code) => process.stdout.write('', () => process.exit(code)));
