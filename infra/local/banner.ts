import type { MappingSpec } from './event-source/specs';

/** What a person reads once everything runs: where it is, and what to type first. */
export function banner(stack: {
  webSocketUrl: string;
  broker: { url: string; embedded: boolean };
  queues: string[];
  specs: MappingSpec[];
}): string {
  const { webSocketUrl, broker, queues, specs } = stack;
  const [apiQueue] = queues;
  const example = specs.some(({ functionKey }) => functionKey === 'worker');
  const { username, host, protocol, pathname } = new URL(broker.url);
  const user = username === '' ? '' : `${username}:***@`;
  const shownUrl = broker.embedded ? broker.url : `${protocol}//${user}${host}${pathname}`;
  return [
    '',
    'The WebSocket gateway for RabbitMQ is running.',
    '',
    `  WebSocket   ${webSocketUrl}`,
    `  RabbitMQ    ${shownUrl}${broker.embedded ? ' (embedded, in memory)' : ''}`,
    `  Queues      ${queues.join(', ')}`,
    example
      ? `  Service     the example worker answers on ${apiQueue}; EXAMPLE_WORKER=false npm start leaves it to yours`
      : `  Service     yours, on ${apiQueue}`,
    '',
    'Try it, in another terminal:',
    '',
    `  npx wscat -c ${webSocketUrl}`,
    '  {"action":"send","id":"1","data":{"prompt":"hello"}}',
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}
