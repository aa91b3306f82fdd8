import { HEARTBEAT } from './framing';
import type { Outbox } from './outbox';

/**
 * Heartbeats of one connection: sent when nothing else is, and expected from the client, whose silence ends
 * the connection.
 */

interface HeartbeatPeer {
  /** How often the client was heard so far. */
  chunksRead(): number;
  /** Whether anything of it would be read: who is blocked cannot be heard, and is not taken for dead. */
  isHeard(): boolean;
  onSilence(): void;
}

/**
 * RabbitMQ's timing: a beat every half interval, and the end after two whole ones without a byte. Returns what stops
 * it.
 */
export function startHeartbeat(seconds: number, outbox: Outbox, peer: HeartbeatPeer): () => void {
  // What was said in the handshake does not put off the first beat.
  outbox.idle();
  const beats = setInterval(() => {
    if (!outbox.idle()) return;
    outbox.send(HEARTBEAT);
    // The beat itself does not count, or every second one would be missing.
    outbox.idle();
  }, seconds * 500);
  let heard: number | undefined;
  let silentIntervals = 0;
  const watch = setInterval(() => {
    const now = peer.chunksRead();
    // A client that takes what it is sent is alive, even while nothing is read from it.
    const alive = now !== heard || outbox.progressed() || !peer.isHeard();
    silentIntervals = alive ? 0 : silentIntervals + 1;
    heard = now;
    if (silentIntervals >= 2) peer.onSilence();
  }, seconds * 1000);
  beats.unref();
  watch.unref();
  return () => {
    clearInterval(beats);
    clearInterval(watch);
  };
}
