import type { DeadLettersStatus, QueueStatus, ShownLetter, Status } from '../status';
import { byId, make } from './dom';

/** The queues and the dead letters, asked for again and again while somebody sees the page. */

const everyMs = 1000;

export async function followBroker(): Promise<never> {
  const trouble = byId('broker-trouble', HTMLElement);
  let last = '';
  for (;;) {
    if (document.visibilityState === 'visible') {
      const text = await statusText();
      if (text !== last) show(JSON.parse(text), trouble);
      last = text;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

async function statusText(): Promise<string> {
  try {
    const response = await fetch('/status.json', { signal: AbortSignal.timeout(5000) });
    return await response.text();
  } catch {
    return JSON.stringify({ error: 'npm start does not answer' });
  }
}

function show(status: Status, trouble: HTMLElement): void {
  trouble.hidden = !('error' in status);
  if ('error' in status) {
    trouble.replaceChildren(make('b', {}, 'The broker cannot be asked.'), status.error);
    return;
  }
  byId('queues', HTMLTableSectionElement).replaceChildren(...status.queues.map(rowOf));
  showLetters(status.deadLetters, status.queues.at(-1)?.waiting ?? 0);
}

function rowOf({ name, waiting, consumers }: QueueStatus): HTMLElement {
  const count = waiting === null ? 'missing' : String(waiting);
  return make('tr', {}, make('th', { scope: 'row' }, name), make('td', {}, count), make('td', {}, String(consumers)));
}

function showLetters({ letters }: DeadLettersStatus, waiting: number): void {
  const none = byId('no-letters', HTMLElement);
  none.hidden = waiting === 0 ? false : letters !== null;
  none.textContent = waiting === 0 ? 'None.' : `${waiting}. This queue counts every look: npm run dead-letters -- list`;
  const more = waiting - (letters?.length ?? waiting);
  byId('letters', HTMLOListElement).replaceChildren(
    ...(letters ?? []).map(letterOf),
    ...(more > 0 ? [make('li', { class: 'letter' }, `and ${more} more: npm run dead-letters -- list`)] : []),
  );
}

function letterOf({ verdict, reason, firstSeen, messageId, bytes, excerpt }: ShownLetter): HTMLElement {
  const seen =
    typeof firstSeen === 'string' ? firstSeen.replace('T', ' ').replace(/\..*/, ' UTC') : 'at an unknown time';
  return make(
    'li',
    { class: 'letter' },
    make('p', {}, make('b', {}, word(verdict)), `: ${word(reason)}`),
    make('small', {}, `${seen} · ${messageId ?? 'no messageId'} · ${bytes.toLocaleString('en')} bytes`),
    make('code', {}, excerpt),
  );
}

/** What stands in a letter is a stranger's. */
function word(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
