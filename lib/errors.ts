/**
 * What can go wrong, in the words of the wire: every failure that a client may learn of is a GatewayError,
 * and its code is the `code` of the error frame. Clients see `message`, never the cause or the stack.
 */

/** The closed set of error codes, and whether the same message may succeed when it is sent again. */
const retryableByCode = {
  bad_frame: false,
  unknown_action: false,
  invalid_message: false,
  too_large: false,
  unroutable: true,
  unavailable: true,
  unauthorized: false,
  throttled: true,
  internal: false,
} as const;

export type ErrorCode = keyof typeof retryableByCode;

export const errorCodes = Object.keys(retryableByCode) as ErrorCode[];

export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly retryable: boolean;

  /** `message` is shown to clients: it says what to do and holds nothing of the inside. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.retryable = retryableByCode[code];
  }
}

/** Anything thrown, as something a client may see. */
export function toGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError
    ? error
    : new GatewayError('internal', 'The gateway failed to handle this message.', { cause: error });
}
