import type { Membership } from '../connections';
import { type ErrorCode, GatewayError } from '../errors';
import type { Log } from '../log';
import type { ClientMessage, Sender } from '../sender';
import { traceparentOf } from '../traceparent';
import type { Memberships } from './membership';
import { orUnavailable } from './or-unavailable';
import type { Attempt, Sends } from './sends';

/**
 * Sends a message as its connection asks: in its session, where it is in one. There the replies are for the session, and a
 * message whose client's id was used before is in the queue once, or else each time with the same messageId. Outside, all is
 * as if there were no sessions, and DynamoDB is needed for nothing.
 */
export interface SessionSender {
  /** Rejects with GatewayError. */
  send(message: SentMessage, deadline: number): Promise<Sent>;
}

export interface SentMessage extends Omit<ClientMessage, 'traceparent'> {
  /** The client's, if it sent a valid one. */
  parent: string | undefined;
  /** In which the client means to send it; undefined where it leaves that to the gateway. */
  session: string | undefined;
}

export interface Sent {
  messageId: string;
  /** Its id was used before in the session: it was in the queue, or maybe, and then it was published once more. */
  duplicate: boolean;
}

export interface SendingPorts {
  memberships: Memberships;
  sends: Sends;
  log: Log;
}

/** Refusals of the publisher after which the message is in no queue. */
const nothingQueued: ReadonlySet<ErrorCode> = new Set(['unroutable', 'invalid_message', 'too_large']);

export function createSessionSender(sender: Sender, { memberships, sends, log }: SendingPorts): SessionSender {
  async function membershipOf({ connectionId, session }: SentMessage): Promise<Membership | undefined> {
    if (session === undefined) return memberships.likely(connectionId);
    const membership = await orUnavailable(memberships.certain(connectionId));
    if (membership?.session === session) return membership;
    throw new GatewayError('invalid_message', 'session is not the session of this connection.');
  }

  async function sendOnce(
    attempt: Attempt,
    endsAt: number,
    publish: (messageId: string) => Promise<void>,
    deadline: number,
  ) {
    const { result, messageId } = await orUnavailable(sends.begin(attempt, deadline, endsAt));
    if (result === 'acked') return { messageId, duplicate: true };
    try {
      await publish(messageId);
    } catch (error) {
      const isFree = result === 'first' && error instanceof GatewayError && nothingQueued.has(error.code);
      await note(isFree ? sends.forget(attempt) : sends.release(attempt), attempt);
      throw error;
    }
    await note(sends.acked(attempt), attempt);
    return { messageId, duplicate: result === 'unknown' };
  }

  /** What is not noted costs a later attempt time, or publishes the message once more under the same messageId. */
  async function note(noting: Promise<void>, { session, messageId }: Attempt): Promise<void> {
    await noting.catch((error) => log.warn('Could not note what became of a message', { session, messageId, error }));
  }

  return {
    async send(message, deadline) {
      // The broker is reached while the tables are asked.
      sender.prepare();
      const { messageId, clientId, parent, data, userId } = message;
      const membership = await membershipOf(message);
      const connectionId = membership?.session ?? message.connectionId;
      const user = userId === undefined ? {} : { userId };
      const publish = (messageId: string) => {
        const traceparent = traceparentOf(messageId, parent);
        return sender.send({ messageId, traceparent, connectionId, clientId, data, ...user }, deadline);
      };
      if (membership !== undefined && clientId !== null) {
        const attempt = { session: membership.session, clientId, messageId };
        return sendOnce(attempt, membership.sessionEndsAt, publish, deadline);
      }
      await publish(messageId);
      return { messageId, duplicate: false };
    },
  };
}
