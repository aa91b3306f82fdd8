/**
 * The trace of a message as a W3C traceparent, from the client's frame to the services and back. Of its level 1 the
 * gateway knows what it needs to pass a trace on; it keeps no spans. https://www.w3.org/TR/trace-context/#traceparent-header
 */

/** A later version may append fields; their meaning is not known here. */
const pattern =
  /^(?:00-(?=.{52}$)|(?!00|ff)[\da-f]{2}-(?=.{52}(?:-|$)))((?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2})/;

/** The traceparent in version 00, whatever valid version it came in; undefined for what is none. */
export function readTraceparent(value: unknown): string | undefined {
  const [, fields] = (typeof value === 'string' && pattern.exec(value)) || [];
  return fields === undefined ? undefined : `00-${fields}`;
}

/**
 * The traceparent under which a message goes to the services: the trace and flags of its parent, or else a new trace
 * whose id is the messageId; the span is the last half of the messageId. So whoever knows a messageId finds the message in
 * the logs, even if a service passed no trace on.
 * @param messageId a UUID. @param parent as `readTraceparent` gives it.
 */
export function traceparentOf(messageId: string, parent?: string): string {
  const hex = messageId.toLowerCase().replaceAll('-', '');
  const [, traceId = hex, , flags = '01'] = parent?.split('-') ?? [];
  return `00-${traceId}-${hex.slice(16)}-${flags}`;
}
