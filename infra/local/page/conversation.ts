import type { Ack, GatewayError, Reply } from '../../../lib/client';
import { addTo, byId, following, make, shortened, timeText } from './dom';
import { tell, troubleOf } from './trouble';

/** The messages, each with its stages and their times, what went wrong, and its replies. */

const mostMessages = 100;
const mostReplies = 50;
const longest = 500;

const stages = ['sent', 'confirmed', 'answered'] as const;
type Stage = (typeof stages)[number];

interface Message {
  item: HTMLElement;
  stages: Record<Stage, HTMLElement>;
  trouble: HTMLElement;
  replies: HTMLElement;
  /** When it went out, in milliseconds since the page was loaded. */
  sentAt?: number;
}

export class Conversation {
  readonly #list = byId('messages', HTMLOListElement);
  readonly #news = byId('news', HTMLElement);
  readonly #messages = new Map<string, Message>();

  add(id: string, prompt: string): void {
    const message = this.#append(id, shortened(prompt, longest));
    message.stages.sent.textContent = 'waiting';
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  /** It went out on a socket; a repetition changes nothing. */
  sent(id: string): void {
    const message = this.#messages.get(id);
    if (message === undefined || message.sentAt !== undefined) return;
    message.sentAt = performance.now();
    reach(message.stages.sent, timeText(new Date()));
  }

  confirmed(id: string, { duplicate }: Ack): void {
    const message = this.#messages.get(id);
    if (message === undefined) return;
    message.trouble.hidden = true;
    reach(message.stages.confirmed, elapsed(message) + (duplicate ? ', repeated' : ''));
  }

  /** @param again sends it once more, where that is left to the person. */
  failed(id: string, error: GatewayError, again?: () => void): void {
    const message = this.#messages.get(id);
    if (message === undefined) return;
    if (message.sentAt === undefined) message.stages.sent.textContent = 'not sent';
    const button = again && error.retryable ? { label: 'Send again', act: again } : undefined;
    following(this.#list, () => tell(message.trouble, troubleOf(error), button));
  }

  /** A reply to what another load of this page sent, or to nothing, stands by itself. */
  answered({ id = '', event, seq, data }: Reply): void {
    const text = shortened(textOf(data), longest);
    const label = [event === 'recv' ? 'reply' : event, seq].join(' ');
    following(this.#list, () => {
      const message = this.#messages.get(id) ?? this.#append(id, 'Not sent from here');
      if (message.stages.answered.textContent === '') reach(message.stages.answered, elapsed(message));
      addTo(message.replies, make('li', { class: 'reply' }, make('small', {}, label), text), mostReplies);
    });
    this.#news.textContent = `Reply: ${text}`;
  }

  #append(id: string, title: string): Message {
    const times = stages.map((stage) => [stage, make('span')] as const);
    const steps = times.map(([stage, time]) => make('li', { class: 'stage' }, make('b', {}, stage), time));
    const trouble = make('p', { class: 'trouble', role: 'alert', hidden: '' });
    const replies = make('ol', { class: 'replies' });
    const parts = [make('p', { class: 'prompt' }, title), make('ol', { class: 'stages' }, ...steps), trouble, replies];
    const item = make('li', { class: 'message' }, ...parts);
    addTo(this.#list, item, mostMessages);
    for (const [id, { item }] of this.#messages) if (!item.isConnected) this.#messages.delete(id);
    byId('no-messages', HTMLElement).hidden = true;
    const message = { item, stages: Object.fromEntries(times) as Message['stages'], trouble, replies };
    if (id !== '') this.#messages.set(id, message);
    return message;
  }
}

function reach(stage: HTMLElement, time: string): void {
  stage.textContent = time;
  stage.parentElement?.setAttribute('data-at', time);
}

/** A reply to what was not sent from here has nothing to count from. */
function elapsed({ sentAt }: Message): string {
  if (sentAt === undefined) return timeText(new Date());
  return `+${Math.round(performance.now() - sentAt).toLocaleString('en')} ms`;
}

/** The example worker's answer is a text within an object; of any other reply all is shown. */
function textOf(data: unknown): string {
  if (typeof data === 'string') return data;
  const { answer } = (data ?? {}) as { answer?: unknown };
  return typeof answer === 'string' ? answer : JSON.stringify(data, null, 2);
}
