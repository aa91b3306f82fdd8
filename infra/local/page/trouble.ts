import type { CloseReason, ErrorCode, GatewayError, Session } from '../../../lib/client';
import { make } from './dom';

/** What went wrong, in words: what happened, and what a person can do. */

export interface Trouble {
  what: string;
  /** The gateway's or the service's own words. */
  details?: string;
  toDo: string;
}

const ofCodes: Record<ErrorCode, Omit<Trouble, 'details'>> = {
  bad_frame: {
    what: 'The gateway could not read it.',
    toDo: 'This page may not fit the gateway: start npm start anew.',
  },
  unknown_action: {
    what: 'The gateway does not know this.',
    toDo: 'This page may not fit the gateway: start npm start anew.',
  },
  invalid_message: { what: 'The gateway refused the message.', toDo: 'Change it, and send it again.' },
  too_large: { what: 'The message is too large.', toDo: 'Send a shorter one; 128 KB is the most.' },
  unroutable: {
    what: 'There is no queue for it.',
    toDo: 'Declare the queue of your services (npm start does), then send it again.',
  },
  unavailable: { what: 'RabbitMQ did not take it.', toDo: 'Send it again in a moment; it is published once at most.' },
  unauthorized: { what: 'The token has expired.', toDo: 'Connect with a new one.' },
  throttled: { what: 'The gateway has too much to do.', toDo: 'Send it again in a moment.' },
  internal: { what: 'The gateway failed.', toDo: 'What npm start prints says more.' },
  timeout: { what: 'Nothing was heard of it in time.', toDo: 'Send it again; it is published once at most.' },
  aborted: { what: 'It was given up.', toDo: 'Send it again.' },
  closed: { what: 'The connection was closed before it was confirmed.', toDo: 'Send it again.' },
  queue_full: { what: 'Too many messages wait for a connection.', toDo: 'Send it again once there is one.' },
  connect_failed: {
    what: 'The gateway cannot be reached.',
    toDo: 'Is npm start still running? With ALLOWED_ORIGINS it must list this page, with AUTH=jwt the token must be good. The page goes on trying.',
  },
  replies_lost: { what: 'Replies may have been lost.', toDo: 'Send it again.' },
  buffer_full: { what: 'Replies came faster than they were read.', toDo: 'Send it again.' },
  listener_failed: { what: 'This page failed.', toDo: 'Load it again.' },
};

export function troubleOf(error: GatewayError): Trouble {
  const { code, message, data } = error;
  if (data === undefined) return { ...ofCodes[code], details: `${code}: ${message}` };
  return { what: 'The service answered with an error.', details: message, toDo: 'Ask who runs the service.' };
}

/** The page itself closes a connection only to open another. */
type End = Exclude<CloseReason, 'closed'>;

const ofReasons: Record<End, Trouble> = {
  taken_over: { what: 'Another tab has this session now.', toDo: 'Go on there, or begin a session here.' },
  unauthorized: { what: 'The token has expired.', toDo: 'Connect with a new one.' },
  refused: { what: 'This gateway has no sessions.', toDo: 'Load the page again.' },
};

export function troubleOfEnd(reason: End): Trouble {
  return ofReasons[reason];
}

const reasons: Record<NonNullable<Session['reason']>, string> = {
  unknown: 'its time was over',
  too_many_replies: 'too many replies waited in it',
  too_many_bytes: 'the replies that waited in it were too large',
  too_old: 'it was a day old',
  incomplete: 'some of its replies were gone',
};

export function troubleOfNewSession(reason: NonNullable<Session['reason']>): Trouble {
  return {
    what: `The session before could not be resumed: ${reasons[reason]}.`,
    toDo: 'Replies to earlier messages may be missing. This is a new session.',
  };
}

/** Fills an element; @param again what a button does, where there is one. */
export function tell(
  element: HTMLElement,
  { what, details, toDo }: Trouble,
  again?: { label: string; act: () => void },
) {
  const lines = [make('b', {}, what), ...(details ? [make('code', {}, details), make('br')] : []), toDo];
  if (again) {
    const button = make('button', { type: 'button' }, again.label);
    button.addEventListener('click', again.act);
    lines.push(button);
  }
  element.replaceChildren(...lines);
  element.hidden = false;
}
