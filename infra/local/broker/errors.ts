/**
 * What went wrong, as AMQP says it: a reply code, RabbitMQ's wording, and how much of the client it takes
 * down. The code decides the scope, a "soft" one closes the channel and a "hard" one the connection, unless the
 * stream of bytes itself is broken.
 */

import type { MethodName } from './methods';

/**
 * `stream`: nothing that follows can be told apart, so the client is told and not listened to any more.
 * `socket`: RabbitMQ's reader crashes on this input, so the client sees its socket drop without a close method.
 */
type ErrorScope = 'channel' | 'connection' | 'stream' | 'socket';

const NAMES = {
  320: 'CONNECTION_FORCED',
  403: 'ACCESS_REFUSED',
  404: 'NOT_FOUND',
  405: 'RESOURCE_LOCKED',
  406: 'PRECONDITION_FAILED',
  501: 'FRAME_ERROR',
  503: 'COMMAND_INVALID',
  504: 'CHANNEL_ERROR',
  505: 'UNEXPECTED_FRAME',
  530: 'NOT_ALLOWED',
  540: 'NOT_IMPLEMENTED',
  541: 'INTERNAL_ERROR',
} as const;

type ReplyCode = keyof typeof NAMES;

const SOFT: ReadonlySet<ReplyCode> = new Set<ReplyCode>([403, 404, 405, 406]);

// A reply text is a short string: 255 bytes.
const MAX_TEXT_BYTES = 255;

export class AmqpError extends Error {
  readonly code: ReplyCode;
  readonly scope: ErrorScope;
  /** The method that caused it, once known. */
  method: MethodName | undefined;

  constructor(code: ReplyCode, explanation: string, scope?: ErrorScope) {
    super(explanation === '' ? NAMES[code] : `${NAMES[code]} - ${explanation}`);
    this.name = 'AmqpError';
    this.code = code;
    this.scope = scope ?? (SOFT.has(code) ? 'channel' : 'connection');
  }

  get replyText(): string {
    const bytes = Buffer.from(this.message);
    if (bytes.length <= MAX_TEXT_BYTES) return this.message;
    // Cut on a character: the client's decoder must be able to read it.
    let end = MAX_TEXT_BYTES - 3;
    while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    return `${bytes.toString('utf8', 0, end)}...`;
  }
}

export const accessRefused = (explanation: string) => new AmqpError(403, explanation);
export const notFound = (kind: 'queue' | 'exchange', name: string, vhost: string) =>
  new AmqpError(404, `no ${kind} '${name}' in vhost '${vhost}'`);
export const resourceLocked = (queue: string, vhost: string) =>
  new AmqpError(
    405,
    `cannot obtain exclusive access to locked queue '${queue}' in vhost '${vhost}'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
  );
export const preconditionFailed = (explanation: string) => new AmqpError(406, explanation);
export const notImplemented = (explanation: string) => new AmqpError(540, explanation);
export const unexpectedFrame = (explanation: string) => new AmqpError(505, explanation);
export const channelError = (explanation: string) => new AmqpError(504, explanation);
export const commandInvalid = (explanation: string) => new AmqpError(503, explanation);
export const frameError = (explanation: string) => new AmqpError(501, explanation);
export const internalError = () => new AmqpError(541, '');
export const brokenStream = (explanation: string) => new AmqpError(501, explanation, 'stream');
export const droppedByReader = (explanation: string) => new AmqpError(541, explanation, 'socket');

export function causedBy(method: MethodName, error: AmqpError): AmqpError {
  error.method ??= method;
  return error;
}

/** Bytes the way RabbitMQ's texts show them: `<<"abc">>` when printable, else `<<1,2,3>>`. */
export function erlangBinary(bytes: Buffer): string {
  // What comes after is cut from the reply text anyway.
  const shown = bytes.subarray(0, MAX_TEXT_BYTES);
  const text = shown.toString('latin1');
  return /^[\x20-\x7e\b\t\n\f\r]+$/.test(text) ? `<<${JSON.stringify(text)}>>` : `<<${[...shown].join(',')}>>`;
}

/**
 * At the end of a connection nobody is left to be told of a fault of the broker's own, and it must not end the
 * process.
 */
export function contained(work: () => void): void {
  try {
    work();
  } catch (error) {
    process.emitWarning(error as Error);
  }
}
