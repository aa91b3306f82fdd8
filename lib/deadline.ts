import type { Context } from 'aws-lambda';

/** When the work of an invocation must be over so that its answer still leaves in time, milliseconds since 1970. */
export function deadlineOf(context: Pick<Context, 'getRemainingTimeInMillis'>, marginMs = 500): number {
  return Date.now() + context.getRemainingTimeInMillis() - marginMs;
}

/** Undefined if the deadline comes first; what was waited for goes on, for others may need it. */
export async function before<T>(deadline: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadline - Date.now()), undefined);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Rejects with a TimeoutError once the time is over, whether or not the work hears its signal: once garbage was collected,
 * fetch may not (https://github.com/nodejs/undici/issues/4068).
 */
export function within<T>(timeMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(timeMs);
  const over = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  return Promise.race([work(signal), over]);
}
