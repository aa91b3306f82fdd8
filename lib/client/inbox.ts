import type { Frame } from './link';
import type { Timer, Timing } from './timing';

/**
 * The replies of a session in their order, each once: what was handed over already is dropped, what is ahead of its turn is held
 * back, and what does not come is asked for again.
 */

export interface Inbox {
  /** After the reply `after`; those up to `known` are on their way. */
  begin(after: number, known: number): void;
  take(frame: Frame): void;
  /** Tells the gateway, soon and in one frame, how far it has come. */
  tell(): void;
  /** Tells the gateway at once, and hands over nothing more. */
  end(): void;
}

/** The gateway keeps no more replies of a session. */
const maxHeld = 1000;

/**
 * @param handOver gives one to the application.
 * @param received tells the gateway that all up to this one is here.
 * @param askAgain asks for what comes after the last that was handed over.
 */
export function createInbox(
  { gapMs, receivedMs }: Timing,
  handOver: (frame: Frame) => void,
  received: (seq: number) => void,
  askAgain: () => void,
): Inbox {
  const held = new Map<number, Frame>();
  let last = 0;
  let known = 0;
  let gap: Timer;
  let telling: Timer;
  let isOver = false;

  const watch = () => {
    clearTimeout(gap);
    gap = last < known && !isOver ? setTimeout(ask, gapMs) : undefined;
  };
  const ask = () => {
    askAgain();
    watch();
  };
  const tellNow = () => {
    clearTimeout(telling);
    telling = undefined;
    if (last) received(last);
  };
  const tell = () => {
    if (!isOver) telling ??= setTimeout(tellNow, receivedMs);
  };

  return {
    begin(after, upTo) {
      held.clear();
      last = after;
      known = upTo;
      watch();
    },
    take(frame) {
      const { seq } = frame;
      known = Math.max(known, seq);
      if (seq <= last || seq > last + maxHeld) return;
      held.set(seq, frame);
      const before = last;
      for (let next = held.get(last + 1); next && !isOver; next = held.get(last + 1)) {
        last += 1;
        held.delete(last);
        handOver(next);
      }
      if (last > before) tell();
      // What comes while one is missing is no reason to wait longer for that.
      if (last > before || !gap) watch();
    },
    tell,
    end() {
      isOver = true;
      clearTimeout(gap);
      tellNow();
    },
  };
}
