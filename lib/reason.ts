/** Why something failed, in few words; an AggregateError (of a host with several addresses) has no message of its own. */
export function reasonOf(error: unknown): string {
  const { name, message, code } = error as { name?: string; message?: string; code?: string };
  // amqplib tells the frame that came instead of the one it expected.
  if (message?.startsWith('Expected ConnectionOpenOk')) return 'no such virtual host, or not for this user';
  return message || code || name || String(error);
}

/** With what caused it, and what caused that. */
export function reasonsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? reasonOf(error) : `${reasonOf(error)} (${reasonsOf(error.cause)})`;
}
