import { Console } from 'node:console';
import { logLevelFromEnv, traceIdFromEnv } from './aws-env';

/**
 * Structured JSON logs, a line in one write. What they may carry is a closed list of fields: ids, names and counts, never a
 * message's body, a token or a header of a client.
 */

export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

export interface LogFields {
  connectionId?: string;
  /** The public id. */
  session?: string;
  /** Of what the line is about: the gateway's own of a client's message, the service's of a reply. */
  messageId?: string | undefined;
  /** Of the client's message that a reply answers. */
  inReplyTo?: string | undefined;
  traceparent?: string | undefined;
  clientId?: string;
  code?: string;
  verdict?: string;
  reason?: string;
  queue?: string;
  count?: number;
  verdicts?: Record<string, number>;
  duplicates?: number;
  error?: unknown;
}

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** The first and the last are of Lambda's own log controls, which count before the level where a function has them. */
const severities: Record<string, number> = { TRACE: 0, DEBUG: 1, INFO: 2, WARN: 3, ERROR: 4, FATAL: 5 };

/** @param level of the lines that are written, and those above. */
export function createLog(functionName: string, level: LogLevel = 'INFO'): Log {
  const least = severities[logLevelFromEnv() ?? ''] ?? (severities[level] as number);
  const service = `ws-gateway.${functionName}`;
  let opened: Console | undefined;
  // Lambda's console writes before a line what is no JSON; and this one survives that nobody reads any more. Opening its
  // streams takes milliseconds of a cold start, in which there is mostly nothing to say.
  const console = () => {
    opened ??= new Console(process.stdout, process.stderr);
    return opened;
  };

  const write = (level: LogLevel, print: (line: string) => void) => {
    if ((severities[level] as number) < least) return () => undefined;
    return (message: string, { error, ...fields }: LogFields = {}) => {
      const told = error === undefined ? undefined : errorFields(error);
      const line = {
        level,
        message,
        timestamp: new Date(),
        service,
        xray_trace_id: traceIdFromEnv(),
        ...fields,
        error: told,
      };
      print(JSON.stringify(line));
    };
  };
  return {
    debug: write('DEBUG', (line) => console().debug(line)),
    info: write('INFO', (line) => console().info(line)),
    warn: write('WARN', (line) => console().warn(line)),
    error: write('ERROR', (line) => console().error(line)),
  };
}

/** An error's name, message and causes, without the own properties in which SDKs keep requests and their headers. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { cause } = error;
  return {
    name: error.name,
    message: withoutUrlCredentials(error.message),
    stack: withoutUrlCredentials(error.stack ?? ''),
    ...(cause === undefined ? {} : { cause: errorFields(cause) }),
  };
}

function withoutUrlCredentials(text: string): string {
  return text.replace(/\/\/[^/@\s]+@/g, '//***@');
}
