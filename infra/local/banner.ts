import type { MappingSpec } from './event-source/specs';

/** What a person reads once everything runs: where it is, and what to type first. */
export function banner(stack: {
  webSocketUrl: string;
  pageUrl: string;
  asksForTokens: boolean;
  broker: { url: string; embedded: boolean };
  queues: string[];
  specs: MappingSpec[];
}): string {
  const { webSocketUrl, pageUrl, asksForTokens, broker, queues, specs } = stack;
  const [apiQueue] = queues;
  const example = specs.some(({ functionKey }) => functionKey === 'worker');
  const { username, host, protocol, pathname } = new URL(broker.url);
  const user = username === '' ? '' : `${username}:***@`;
  const shownUrl = broker.embedded ? broker.url : `${protocol}//${user}${host}${pathname}`;
  return [
    '',
    'The WebSocket gateway for RabbitMQ is running.',
    '',
    `  Page        ${pageUrl}`,
    `  WebSocket   ${webSocketUrl}`,
    `  RabbitMQ    ${shownUrl}${broker.embedded ? ' (embedded, in memory)' : ''}`,
    `  Clients     ${asksForTokens ? 'with a token' : 'anybody; AUTH=jwt asks for tokens'}`,
    `  Queues      ${inShort(queues).join(', ')}`,
    example
      ? `  Service     the example worker answers on ${apiQueue}; EXAMPLE_WORKER=false npm start leaves it to yours`
      : `  Service     yours, on ${apiQueue}`,
    '',
    'Try it on the page, or in another terminal:',
    '',
    `  npx wscat -c ${webSocketUrl}${asksForTokens ? ' -s gateway.v1 -s bearer.<token>' : ''}`,
    '  {"action":"send","id":"1","data":{"prompt":"hello"}}',
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}

/** Of many queues of replies the first two and the last. */
function inShort(queues: string[]): string[] {
  return queues.length > 6 ? [...queues.slice(0, 3), '...', ...queues.slice(-2)] : queues;
}
