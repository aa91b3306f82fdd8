import { GatewayError } from './errors';

/** What this library itself finds wrong, in words that say what to do. */

export function problem(code: keyof typeof retryable | keyof typeof final, id?: string, cause?: unknown): GatewayError {
  const message = { ...retryable, ...final }[code];
  return new GatewayError({ code, message, retryable: code in retryable, id }, cause);
}

const retryable = {
  timeout: 'Not acknowledged in time; send it again with the same id.',
  unavailable: 'The acknowledgement was lost; send it again with the same id.',
  queue_full: 'Too many sends wait for a connection; send again once the state is open.',
  connect_failed: 'Not connected; it is tried again.',
  replies_lost: 'No more replies can come; send it again with a new id.',
};

const final = {
  aborted: 'Given up by the caller.',
  invalid_message: 'data must be a JSON object, and id 1 to 64 printable ASCII characters that no other send has.',
  too_large: 'Larger than 131072 bytes, or on API Gateway 32768 in one WebSocket frame; send less.',
  buffer_full: 'Too many replies wait; read them faster.',
  listener_failed: 'A listener threw the cause.',
  closed: 'The gateway is closed, and the cause says why; connect again.',
};
