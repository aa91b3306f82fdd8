import { Logger } from '@aws-lambda-powertools/logger';

/**
 * Structured JSON logs. What they may carry is a closed list of fields: ids, names and counts, never a message's body,
 * a token or a header of a client. The level is POWERTOOLS_LOG_LEVEL (default INFO).
 */

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

export function createLog(functionName: string): Log {
  const logger = new Logger({ serviceName: `ws-gateway.${functionName}` });
  const write =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}) => {
      const { error, ...rest } = fields;
      logger[level](message, error === undefined ? rest : { ...rest, error: errorFields(error) });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
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
