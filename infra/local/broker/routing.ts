import { erlangTerm } from './erlang-term';
import { preconditionFailed } from './errors';
import { type FieldValue, sameValue, stringOf, type Table } from './fields';

/**
 * Which bindings a message matches, one router for each type of exchange. A router maps keys and headers to
 * whatever its exchange binds (queues or exchanges); several bindings to one destination still match once.
 */

export interface Router<D> {
  add(binding: RoutedBinding<D>): void;
  remove(binding: RoutedBinding<D>): void;
  /** Adds the destinations that match to `found`. */
  match(routingKeys: readonly string[], headers: Table | undefined, found: Set<D>): void;
}

export interface RoutedBinding<D> {
  readonly destination: D;
  readonly routingKey: string;
  readonly arguments: Table;
}

export type ExchangeType = 'direct' | 'fanout' | 'topic' | 'headers';

export function createRouter<D>(type: ExchangeType): Router<D> {
  switch (type) {
    case 'direct':
      return directRouter();
    case 'fanout':
      return fanoutRouter();
    case 'topic':
      return topicRouter();
    case 'headers':
      return headersRouter();
  }
}

/** @throws AmqpError 406 for the arguments that a headers exchange refuses. */
export function checkHeadersArguments(args: Table): void {
  const mode = args.get('x-match');
  if (mode === undefined) return;
  if (mode.type !== 'longstr') {
    throw preconditionFailed(`Invalid x-match field type ${mode.type} (value ${erlangTerm(mode)}); expected longstr`);
  }
  if (!HEADER_MODES.has(mode.value.toString())) {
    throw preconditionFailed(
      `Invalid x-match field value <<"${mode.value}">>; expected all, any, all-with-x, or any-with-x`,
    );
  }
}

const HEADER_MODES: ReadonlySet<string> = new Set(['all', 'any', 'all-with-x', 'any-with-x']);

function directRouter<D>(): Router<D> {
  const bindings = new Map<string, Set<RoutedBinding<D>>>();
  return {
    add(binding) {
      const bound = bindings.get(binding.routingKey);
      if (bound === undefined) bindings.set(binding.routingKey, new Set([binding]));
      else bound.add(binding);
    },
    remove(binding) {
      const bound = bindings.get(binding.routingKey);
      bound?.delete(binding);
      if (bound?.size === 0) bindings.delete(binding.routingKey);
    },
    match(routingKeys, _headers, found) {
      for (const key of routingKeys) {
        for (const binding of bindings.get(key) ?? []) found.add(binding.destination);
      }
    },
  };
}

function fanoutRouter<D>(): Router<D> {
  const bindings = new Set<RoutedBinding<D>>();
  return {
    add: (binding) => void bindings.add(binding),
    remove: (binding) => void bindings.delete(binding),
    match(_routingKeys, _headers, found) {
      for (const binding of bindings) found.add(binding.destination);
    },
  };
}

interface TopicNode<D> {
  readonly children: Map<string, TopicNode<D>>;
  readonly bindings: Set<RoutedBinding<D>>;
  /** A `#`: takes any number of words, so it stays while words pass. */
  readonly many: boolean;
}

/**
 * A trie of pattern words, walked with all places at once that the words so far can have led to. Walking one place
 * after the other would take exponential time for patterns such as `#.a.#.a.#.a`.
 */
function topicRouter<D>(): Router<D> {
  const root = topicNode<D>(false);
  return {
    add(binding) {
      let node = root;
      for (const word of words(binding.routingKey)) {
        let child = node.children.get(word);
        if (child === undefined) {
          child = topicNode<D>(word === '#');
          node.children.set(word, child);
        }
        node = child;
      }
      node.bindings.add(binding);
    },
    remove(binding) {
      prune(root, words(binding.routingKey), binding);
    },
    match(routingKeys, _headers, found) {
      for (const key of routingKeys) {
        for (const place of reached(root, key)) {
          for (const binding of place.bindings) found.add(binding.destination);
        }
      }
    },
  };
}

function reached<D>(root: TopicNode<D>, routingKey: string): Set<TopicNode<D>> {
  let places = new Set<TopicNode<D>>();
  arrive(root, places);
  for (const word of words(routingKey)) {
    const next = new Set<TopicNode<D>>();
    for (const place of places) {
      if (place.many) arrive(place, next);
      arrive(place.children.get('*'), next);
      // A published key may itself be `#` or `*`: those are plain words there.
      if (word !== '*' && word !== '#') arrive(place.children.get(word), next);
    }
    places = next;
  }
  return places;
}

/** A place, and with it the `#` below it, which may take no word at all. */
function arrive<D>(node: TopicNode<D> | undefined, places: Set<TopicNode<D>>): void {
  for (let place = node; place !== undefined && !places.has(place); place = place.children.get('#')) {
    places.add(place);
  }
}

function prune<D>(node: TopicNode<D>, pattern: readonly string[], binding: RoutedBinding<D>): void {
  const [word, ...rest] = pattern;
  if (word === undefined) {
    node.bindings.delete(binding);
    return;
  }
  const child = node.children.get(word);
  if (child === undefined) return;
  prune(child, rest, binding);
  if (child.bindings.size === 0 && child.children.size === 0) node.children.delete(word);
}

function topicNode<D>(many: boolean): TopicNode<D> {
  return { children: new Map(), bindings: new Set(), many };
}

/** The empty key has no words: it matches `#` but not `*`. */
function words(key: string): string[] {
  return key === '' ? [] : key.split('.');
}

function headersRouter<D>(): Router<D> {
  const bindings = new Set<RoutedBinding<D>>();
  return {
    add: (binding) => void bindings.add(binding),
    remove: (binding) => void bindings.delete(binding),
    match(_routingKeys, headers, found) {
      for (const binding of bindings) {
        if (headersMatch(binding.arguments, headers)) found.add(binding.destination);
      }
    },
  };
}

function headersMatch(args: Table, headers: Table | undefined): boolean {
  const mode = stringOf(args.get('x-match')) ?? 'all';
  const withX = mode.endsWith('-with-x');
  const any = mode.startsWith('any');
  for (const [name, expected] of args) {
    if (name === 'x-match' || (!withX && name.startsWith('x-'))) continue;
    if (headerMatches(expected, headers?.get(name)) === any) return any;
  }
  return !any;
}

/** An argument without a value asks only that the header be there. */
function headerMatches(expected: FieldValue, actual: FieldValue | undefined): boolean {
  return actual !== undefined && (expected.type === 'void' || sameValue(expected, actual));
}
