import type { GatewayError } from './errors';

/**
 * The gateway's own metrics, written as lines of the log from which CloudWatch makes them (embedded metric format). A
 * metric costs money as long as it has values, so the list is closed, there are no dimensions, and what did not happen is
 * not written. What an invocation has measured is handed over at once, and nothing is kept: Powertools keeps it by process
 * until it is flushed, which would mix invocations where several run in one, and adds 10 KB to each function.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

/** The metrics and their units. docs/OPERATIONS.md says what each counts. */
export const metricUnits = {
  /** WebSockets that were let in. */
  ConnectionsOpened: 'Count',
  /** WebSockets of whose end API Gateway told: at best effort, so there may be fewer than were opened. */
  ConnectionsClosed: 'Count',
  /** Sessions that were begun, those in place of a refused one included. */
  SessionsOpened: 'Count',
  /** Sessions that were taken over by a new connection. */
  SessionsResumed: 'Count',
  /** Sessions that were asked for and not had: unknown, over, or with a reply missing. */
  SessionsRefused: 'Count',
  /** Sessions that were ended by a reply beyond what a session keeps. */
  SessionsEnded: 'Count',
  /** What was asked of a session in vain: the gateway or its table is at fault. */
  SessionsFailed: 'Count',
  /** Messages that were acknowledged. */
  Sends: 'Count',
  /** Messages that were refused, and would be again: the client is at fault. */
  SendsRefused: 'Count',
  /** Messages that could not be queued: the gateway or the broker is at fault. */
  SendsFailed: 'Count',
  /** From the publishing of a message that was acknowledged to the broker's confirm. */
  ConfirmLatency: 'Milliseconds',
  /** Replies that API Gateway took. */
  RepliesDelivered: 'Count',
  /** Replies to connections, or sessions, that had ended. */
  RepliesGone: 'Count',
  /** Replies that their session keeps: nobody was there to take them. */
  RepliesStored: 'Count',
  /** Dead letters by verdict, and all together. */
  RepliesThrottled: 'Count',
  RepliesTooLarge: 'Count',
  RepliesForbidden: 'Count',
  RepliesMalformed: 'Count',
  DeadLetters: 'Count',
  /** Copies of replies that were not posted again. */
  Duplicates: 'Count',
  /** Posts beyond the first of a reply. */
  Retries: 'Count',
  /** From the sending of a client's message to the delivery of each reply to it. */
  EndToEnd: 'Milliseconds',
} as const;

export type MetricName = keyof typeof metricUnits;

/** A number, or the values of several measurements. */
export type Measurements = Partial<Record<MetricName, number | readonly number[]>>;

export interface Metrics {
  /** Never throws. A count of 0 and an empty list are left out. */
  write(measured: Measurements): void;
}

/** CloudWatch takes no more of a metric from a line. */
const mostValues = 100;

/**
 * @param namespace of letters, digits and `.-_/#:`.
 * @param writeLine is given a line of JSON without its end.
 */
export function emfMetrics(namespace: string, writeLine: (line: string) => void): Metrics {
  // JSON from its parts: as an object first, a line would be a good part of what a message costs.
  const write = (measured: Measurements): void => {
    let metrics = '';
    let values = '';
    let rest: Measurements | undefined;
    for (const name of Object.keys(measured) as MetricName[]) {
      const list = listOf(measured[name]);
      if (list.length === 0) continue;
      metrics += `${metrics && ','}{"Name":"${name}","Unit":"${metricUnits[name]}"}`;
      // Logs Insights sums numbers, but no lists.
      values += `,"${name}":${list.length === 1 ? list[0] : JSON.stringify(list.slice(0, mostValues))}`;
      if (list.length > mostValues) rest = { ...rest, [name]: list.slice(mostValues) };
    }
    if (metrics === '') return;
    const directive = `{"Namespace":"${namespace}","Dimensions":[[]],"Metrics":[${metrics}]}`;
    writeLine(`{"_aws":{"Timestamp":${Date.now()},"CloudWatchMetrics":[${directive}]}${values}}`);
    if (rest !== undefined) write(rest);
  };
  return { write };
}

/** Where nobody collects them. */
export const noMetrics: Metrics = { write() {} };

/** What a message that was not acknowledged counts as: by whose fault. */
export function refusalOf({ code, retryable }: GatewayError): Measurements {
  return retryable || code === 'internal' ? { SendsFailed: 1 } : { SendsRefused: 1 };
}

/** What a request for a session, or a `received`, that was refused counts as: nothing where the client is at fault. */
export function failureOf({ code, retryable }: GatewayError): Measurements {
  return retryable || code === 'internal' ? { SessionsFailed: 1 } : {};
}

function listOf(value: number | readonly number[] = 0): readonly number[] {
  if (typeof value !== 'number') return value;
  return value === 0 ? [] : [value];
}
