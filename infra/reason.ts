/** Why something failed, in few words; an AggregateError (of a host with several addresses) has no message of its own. */
export function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return message || code || String(error);
}
