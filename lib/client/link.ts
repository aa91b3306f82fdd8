import type { Timer, Timing } from './timing';
import type { WebSocketLike } from './types';

/**
 * One WebSocket, from its first moment to its end, which is told exactly once, whether the socket closes, never opens, or only
 * falls silent: a dead network closes nothing, and a browser waits minutes for it.
 */

export interface Link {
  /** While a claim is not answered yet: what ends the link if it never is. */
  claim: Timer;
  /** @returns false where it is not open any more: then nothing was written. */
  write(frame: string, isAnswered?: boolean): boolean;
  /** Finds out whether it is alive. */
  ping(): void;
  /** @param cause why it is given up. */
  end(cause?: unknown): void;
}

// biome-ignore lint/suspicious/noExplicitAny: frames are read field by field
export type Frame = Record<string, any>;

export interface LinkEvents {
  open(link: Link): void;
  frame(link: Link, frame: Frame): void;
  /** @param code of the WebSocket's close; none where it was given up. */
  end(link: Link, code?: number, cause?: unknown): void;
}

const OPEN = 1;

export function openLink(
  socket: WebSocketLike,
  pingMs: number,
  { openMs, silenceMs }: Timing,
  events: LinkEvents,
): Link {
  let pings: Timer;
  let patience: Timer;
  let isPinged = false;
  let isOver = false;
  let failure: unknown;

  const end = (code?: number, cause = failure) => {
    if (isOver) return;
    isOver = true;
    clearInterval(pings);
    clearTimeout(patience);
    clearTimeout(link.claim);
    socket.close();
    events.end(link, code, cause);
  };
  const heard = () => {
    clearTimeout(patience);
    patience = undefined;
    isPinged = false;
  };
  const ping = () => {
    link.write('{"action":"ping"}');
    if (isPinged) return;
    isPinged = true;
    clearTimeout(patience);
    patience = setTimeout(() => end(), silenceMs);
  };
  const link: Link = {
    claim: undefined,
    write(frame, isAnswered) {
      if (isOver || socket.readyState !== OPEN) return false;
      socket.send(frame);
      if (isAnswered) patience ??= setTimeout(ping, silenceMs);
      return true;
    },
    ping,
    end: (cause) => end(undefined, cause),
  };

  patience = setTimeout(() => end(), openMs);
  socket.addEventListener('open', () => {
    if (isOver) return;
    heard();
    pings = setInterval(ping, pingMs);
    events.open(link);
  });
  socket.addEventListener('message', ({ data }: { data: unknown }) => {
    if (isOver) return;
    heard();
    let frames: Frame[];
    try {
      frames = [JSON.parse(data as string)].flat();
    } catch {
      return;
    }
    for (const frame of frames) events.frame(link, Object(frame));
  });
  // Without a listener the package `ws` throws.
  socket.addEventListener('error', (event: { error?: unknown }) => {
    failure = event.error;
  });
  socket.addEventListener('close', ({ code }: { code: number }) => end(code));
  return link;
}
