import { addTo, byId, following, make, shortened, timeText } from './dom';
import type { Way } from './network';

/**
 * The raw frames, as they went over the wire but for the tokens: the last ones, until somebody stops to read. Of several
 * replies in one frame, each.
 */

const most = 200;
const longest = 2000;

export function frameLog(): (way: Way, text: string) => void {
  const list = byId('frames', HTMLOListElement);
  const pause = byId('pause', HTMLButtonElement);
  let held: HTMLElement[] | undefined;

  const show = (item: HTMLElement) => following(list, () => addTo(list, item, most));
  pause.addEventListener('click', () => {
    held?.forEach(show);
    held = held ? undefined : [];
    pause.setAttribute('aria-pressed', String(held !== undefined));
  });
  byId('clear', HTMLButtonElement).addEventListener('click', () => {
    list.replaceChildren();
    if (held) held = [];
  });
  const log = (way: Way, name: string, text: string) => {
    const item = make(
      'li',
      { class: 'frame', 'data-way': way },
      make('time', {}, timeText(new Date(), 3)),
      make('span', {}, name),
      make('code', {}, shortened(withoutTokens(text), longest)),
    );
    if (held === undefined) return show(item);
    held.push(item);
    if (held.length > most) held.shift();
  };
  return (way, text) => {
    if (!text.startsWith('[')) return log(way, names[way], text);
    const parts: unknown[] = JSON.parse(text);
    for (const [at, part] of parts.entries()) {
      log(way, `${names[way]} ${at + 1}/${parts.length}`, JSON.stringify(part));
    }
  };
}

const names: Record<Way, string> = { out: 'sent', in: 'got', lost: 'lost' };

/** Of a session: who has it reads its replies. */
function withoutTokens(text: string): string {
  return text.replace(/("token"\s*:\s*")[^"]*/g, '$1***');
}
