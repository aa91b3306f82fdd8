import { type ErrorFrame, GatewayError } from './errors';
import { createInbox } from './inbox';
import { type Frame, type Link, openLink } from './link';
import { createListeners } from './listeners';
import { onReturn } from './page';
import { problem } from './problems';
import { fraction, randomId } from './random';
import { handOver, loseReplies, openReplies, type Stream } from './replies';
import { type Claim, load, save } from './saved';
import { createSends } from './sends';
import type { Timer, Timing } from './timing';
import type { CloseReason, Gateway, Options, Session, State, WebSocketConstructor } from './types';

/**
 * Keeps one link to the gateway. There is a current one, and there may be a next one: because the current one has ended, or
 * because it will soon be too old. The next becomes the current one once it is open and, where there is a session, has it.
 */

/** In frames, for their answers; nobody else would choose them. */
const claimId = '#session';
const receivedId = '#received';

export function openGateway(url: string, WebSocket: WebSocketConstructor, options: Options, timing: Timing): Gateway {
  const { token, storage, storageKey = `ws-gateway ${url.split('?')[0]}` } = options;
  const { pingMs = 540_000, rotateMs = 6_600_000, maxQueued = 100 } = options;
  const inSession = options.session === 'auto';

  let current: Link | undefined;
  let next: Link | undefined;
  /** Was current. Without a session the replies to what was sent on it come on no other. */
  let former: Link | undefined;
  let isPreparing = false;
  let isReplacing = false;
  let pause: Timer;
  let rotation: Timer;
  /** While the next link is open: when it stops waiting for acknowledgements on the current one. */
  let drain: Timer;
  let failures = 0;
  let openedAt = 0;
  let state: State = 'connecting';
  let closedBy: CloseReason | undefined;
  let kept = inSession ? load(storage, storageKey) : undefined;
  let session: Session | undefined;

  const { on, tell } = createListeners();
  const streams = new Map<string, Stream>();
  const sends = createSends(maxQueued, (id, link, error) => {
    const stream = streams.get(id);
    if (error) stream?.end(error);
    else if (stream) stream.link = link;
    claimOnceDrained();
  });
  const inbox = createInbox(
    timing,
    (frame) => {
      handOver(frame, streams, tell);
      // Not before: what a crash cuts off comes again. And not after the gateway was told, which then forgets it.
      if (kept) keep({ ...kept, after: frame.seq });
    },
    (seq) => {
      // A claim says `after`: what it is to bring must not be forgotten before it is heard.
      if (next?.claim || current?.claim) return;
      current?.write(JSON.stringify({ action: 'received', id: receivedId, seq }));
    },
    () => current && claim(current),
  );

  /** Gets a next link, now. */
  async function connectNext(): Promise<void> {
    clearTimeout(pause);
    pause = undefined;
    if (next || isPreparing || closedBy) return;
    isPreparing = true;
    show();
    try {
      const bearer = await (typeof token === 'function' ? token() : token);
      if (closedBy) return;
      const protocols = ['gateway.v1', ...(bearer ? [`bearer.${bearer}`] : [])];
      next = openLink(new WebSocket(url, protocols), pingMs, timing, { open, frame, end });
    } catch (cause) {
      failed(cause);
    }
    isPreparing = false;
    show();
  }

  function failed(cause: unknown): void {
    tell('error', problem('connect_failed', undefined, cause));
    connectLater();
  }

  function connectLater(): void {
    clearTimeout(pause);
    if (closedBy) return;
    // Full jitter: those who were cut off together do not come back together.
    pause = setTimeout(connectNext, fraction() * Math.min(timing.pauseMs * 2 ** failures, timing.longestPauseMs));
    failures += 1;
  }

  function open(link: Link): void {
    clearTimeout(rotation);
    rotation = setTimeout(connectNext, rotateMs * (0.9 + fraction() / 10));
    if (inSession) {
      drain = setTimeout(() => claim(link), timing.drainMs);
      claimOnceDrained();
    } else {
      promote(link);
    }
  }

  /** What the current link was given is acknowledged there, if that takes no time; else it is repeated on the next. */
  function claimOnceDrained(): void {
    if (next && drain && !(current && sends.on(current).length)) claim(next);
  }

  function claim(link: Link): void {
    if (link.claim) return;
    if (link === next) isReplacing = !!current;
    link.claim = setTimeout(link.end, timing.claimMs);
    link.write(JSON.stringify({ action: 'session', id: claimId, batches: true, ...kept }), true);
  }

  function promote(link: Link): void {
    const previous = current;
    current = link;
    next = undefined;
    nextIsOver();
    openedAt = Date.now();
    if (inSession) {
      previous?.end();
    } else if (previous) {
      former?.end();
      former = previous;
    }
    show();
    flush();
  }

  function nextIsOver(): void {
    clearTimeout(drain);
    drain = undefined;
    isReplacing = false;
  }

  function flush(): void {
    // What is written to a link that is about to be replaced would be answered too late.
    if (current && !drain) sends.flush(current, kept?.session);
  }

  function end(link: Link, code?: number, cause?: unknown): void {
    const wasCurrent = link === current;
    if (wasCurrent) current = undefined;
    if (link === former) former = undefined;
    if (closedBy) return;
    sends.linkEnded(link, inSession, code);
    if (!inSession) loseReplies(streams, link);
    if (wasCurrent && Date.now() - openedAt > timing.stableMs) failures = 0;
    if (link === next) {
      const mayHaveIt = isReplacing;
      next = undefined;
      nextIsOver();
      failed(cause);
      // An unanswered claim may have been heard: then nothing comes on the current link any more.
      if (mayHaveIt) current?.end();
    } else if (wasCurrent && !next && !isPreparing) {
      connectLater();
    }
    show();
    flush();
    claimOnceDrained();
  }

  function frame(link: Link, frame: Frame): void {
    const { event, seq } = frame;
    if (event === 'ack') sends.acked(frame);
    else if (event === 'session') onSession(link, frame);
    else if (event === 'error' && !('data' in frame)) refused(link, frame);
    else if (!event) unanswered(link, frame);
    else if (seq) inbox.take(frame);
    else if (event !== 'pong') handOver(frame, streams, tell);
  }

  function onSession(link: Link, { event: _, id: __, token, ended, ...told }: Frame): void {
    if (ended) {
      if (ended !== 'taken_over') link.end();
      // By the next link, or by somebody else: to take it back would be a fight without end.
      else if (link === next || !next?.claim) shut(ended);
      return;
    }
    forgetClaim(link);
    if (!told.resumed) {
      // What was acknowledged there is answered nowhere; what was not is repeated here.
      if (kept) loseReplies(streams);
      keep({ session: told.session, token, after: 0 });
    }
    inbox.begin(kept?.after ?? 0, told.seq);
    inbox.tell();
    if (link !== next) return;
    session = { ...told, seq: kept?.after ?? 0 } as Session;
    tell('session', session);
    promote(link);
  }

  function forgetClaim(link: Link): void {
    clearTimeout(link.claim);
    link.claim = undefined;
  }

  function refused(link: Link, frame: Frame): void {
    const { id, code, retryable } = frame;
    const error = new GatewayError(frame as ErrorFrame);
    if (code === 'unauthorized') {
      if (typeof token === 'function') {
        // Nothing was queued, and the next link has another token.
        sends.requeue(id);
        link.end(error);
      } else {
        sends.refuse(id, error);
        shut(code);
      }
    } else if (id === claimId) {
      if (retryable || link === current) {
        link.end(error);
      } else if (kept) {
        // What the storage gave is no session.
        kept = undefined;
        forgetClaim(link);
        claim(link);
      } else {
        shut('refused');
      }
    } else if (!sends.refuse(id, error) && id !== receivedId) {
      tell('error', error);
    }
  }

  /** A frame of API Gateway's own: a function did not answer, it may be in the midst of a replay. It does not say to what. */
  function unanswered(link: Link, { message }: Frame): void {
    const [id, ...others] = sends.on(link);
    if (inSession) link.end(message);
    else if (id && !others.length) sends.refuse(id, problem('unavailable', id, message));
    else tell('error', problem('unavailable', undefined, message));
  }

  function shut(reason: CloseReason): void {
    if (closedBy) return;
    closedBy = reason;
    inbox.end();
    for (const timer of [pause, rotation, drain]) clearTimeout(timer);
    for (const link of [current, next, former]) link?.end();
    current = next = former = undefined;
    life.abort();
    sends.refuseAll(reason);
    for (const [id, stream] of streams) stream.end(problem('closed', id, reason));
    show();
  }

  function show(): void {
    const before = state;
    if (closedBy) state = 'closed';
    else if (current || isReplacing) state = 'open';
    else state = next || isPreparing ? 'connecting' : 'waiting';
    if (state !== before) tell('state', { state, ...(closedBy && { reason: closedBy }) });
  }

  function keep(claim: Claim): void {
    kept = claim;
    if (session) session = { ...session, seq: claim.after };
    save(storage, storageKey, claim);
  }

  // A pause is over, and a connection may have died unnoticed.
  const life = onReturn(() => {
    if (current) current.ping();
    else if (pause) connectNext();
  });
  // Not before the caller has its listeners.
  queueMicrotask(connectNext);

  return {
    async send(data, { id = randomId(), ...rest } = {}) {
      if (closedBy) throw problem('closed', id, closedBy);
      const json = JSON.stringify(data);
      if (json?.[0] !== '{' || !/^[ -~]{1,64}$/.test(id)) throw problem('invalid_message', id);
      const sent = sends.add(id, json, rest);
      flush();
      return sent;
    },
    replies: (id = randomId(), { maxBuffered = 1000 } = {}) => openReplies(streams, id, maxBuffered),
    on,
    get state() {
      return state;
    },
    get session() {
      return session;
    },
    close: () => shut('closed'),
  };
}
