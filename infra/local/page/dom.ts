/** Elements. What comes from elsewhere becomes text or an attribute, never markup. */

export function byId<E extends HTMLElement>(id: string, type: new () => E): E {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`There is no ${type.name} with the id ${id}.`);
}

export function make<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  attributes: Record<string, string> = {},
  ...content: (Node | string)[]
): HTMLElementTagNameMap[T] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

/** Adds an item at the end, and forgets the oldest beyond `most`. */
export function addTo(list: HTMLElement, item: HTMLElement, most: number): void {
  list.append(item);
  while (list.childElementCount > most) list.firstElementChild?.remove();
}

/** Changes what is in a list that scrolls; who was at its end stays there. */
export function following(list: HTMLElement, change: () => void): void {
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  change();
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
}

export function shortened(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length.toLocaleString('en')} characters)` : text;
}

/** As `14:03:22`, of here. */
export function timeText(date: Date, fractionalSecondDigits?: 3): string {
  return date.toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    ...(fractionalSecondDigits && { fractionalSecondDigits }),
  });
}
