import type { Close } from '../close';
import { sessionEndedFrame } from '../frames';
import type { Log } from '../log';
import type { Sessions } from './sessions';
import type { RefusalReason } from './state';

/** What becomes of a connection that does not get the replies of its session any more. Nothing of it rejects. */

export interface Held {
  session: string;
  connectionId: string;
}

/** A session that is over, and the connection that is still to be told, if there is one. */
export interface Ended {
  session: string;
  connectionId?: string;
  reason: RefusalReason;
}

export interface HolderPorts {
  sessions: Pick<Sessions, 'detach'>;
  close: Close;
  log: Log;
}

/** Takes a connection that has ended out of its session. If that fails, the next post to it is answered the same. */
export async function detach(held: Held, deadline: number, { sessions, log }: Omit<HolderPorts, 'close'>) {
  try {
    await sessions.detach(held.session, held.connectionId, deadline);
  } catch (error) {
    log.warn('Could not take a connection out of its session', { ...held, error });
  }
}

/** Closes a connection that missed a reply: with the next one the client takes the session over, and gets it. */
export async function letGo(held: Held, reason: string, deadline: number, ports: HolderPorts): Promise<void> {
  ports.log.warn('Closing a connection that missed a reply of its session', { ...held, reason });
  await closeAndDetach(held, undefined, deadline, ports);
}

/** Tells the client that its session is over, and closes the connection. */
export async function tellEnd(end: Ended, deadline: number, ports: HolderPorts): Promise<void> {
  const { session, connectionId, reason } = end;
  ports.log.warn('A session has ended', { ...end });
  if (connectionId === undefined) return;
  const lastFrame = JSON.stringify(sessionEndedFrame(session, reason));
  await closeAndDetach({ session, connectionId }, lastFrame, deadline, ports);
}

/** One that could not be closed keeps its session: by the next reply the client is told again, or sees that one is missing. */
async function closeAndDetach(held: Held, lastFrame: string | undefined, deadline: number, ports: HolderPorts) {
  if ((await closeHeld(held, lastFrame, deadline, ports)) === 'closed') await detach(held, deadline, ports);
}

/** Closes a connection, whatever it is to its session. */
export async function closeHeld(
  held: Held,
  lastFrame: string | undefined,
  deadline: number,
  { close, log }: Omit<HolderPorts, 'sessions'>,
): Promise<'closed' | 'failed'> {
  const result = await close(held.connectionId, lastFrame, deadline);
  if (result === 'failed') log.warn('Failed to close a connection', { ...held });
  return result;
}
