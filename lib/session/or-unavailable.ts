import { GatewayError } from '../errors';

/** What is asked of the tables of connections and sessions for a client: GatewayError `unavailable` where they do not answer. */
export async function orUnavailable<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError('unavailable', 'The sessions cannot be reached at the moment; try again later.', { cause });
  }
}
