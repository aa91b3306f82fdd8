import { HEARTBEAT } from './framing';
import type { Outbox } from './outbox';

/**
 * Heartbeats of one connection: sent when nothing else is, and expected from the client, whose silence ends
 * the connection.
 */

export interface HeartbeatPeer {
  /** How often the client was heard so far. */
  chunksRead(): number;
  /** Two intervals passed without a byte from it. */
  onSilence(): void;
}

/** Returns what stops it. */
export function startHeartbeat(seconds: number, outbox: Outbox, peer: HeartbeatPeer): () => void {
  let heard = peer.chunksRead();
  let silentHalves = 0;
  const timer = setInterval(() => {
    const now = peer.chunksRead();
    // A client that takes what it is sent is alive, even while nothing is read from it.
    silentHalves = now !== heard || outbox.progressed() ? 0 : silentHalves + 1;
    heard = now;
    if (silentHalves >= 4) peer.onSilence();
    else if (outbox.idle()) outbox.send(HEARTBEAT);
  }, seconds * 500);
  timer.unref();
  return () => clearInterval(timer);
}
