import type { Socket } from 'node:net';

/**
 * What goes out on a socket. Frames written in one turn of the event loop leave in one write, and a client
 * that reads too slowly is noticed before its backlog grows: `hasRoom` turns false, and `onDrain` is called
 * once it has read.
 */

// Above this no more messages are delivered to the client.
const HIGH_WATER_BYTES = 1024 * 1024;
// Above this, which takes answers to the client's own methods, nothing more is read from it either.
const STOP_READING_BYTES = 16 * 1024 * 1024;
// Joining costs a copy; above this the pieces go to the socket one by one.
const MAX_JOINED_BYTES = 256 * 1024;

export class Outbox {
  private readonly socket: Socket;
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private starved = false;
  private wrote = false;
  private drained = false;
  private muted = false;

  constructor(socket: Socket, onDrain: () => void) {
    this.socket = socket;
    socket.on('drain', () => {
      this.drained = true;
      if (!this.starved) return;
      this.starved = false;
      onDrain();
    });
  }

  send(bytes: Buffer): void {
    if (this.muted) return;
    this.wrote = true;
    if (this.pending.length === 0) process.nextTick(() => this.flush());
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
  }

  /** Whether to deliver more. Once it was answered no, `onDrain` is called when the client has read. */
  hasRoom(): boolean {
    const hasRoom = this.pendingBytes + this.socket.writableLength < HIGH_WATER_BYTES;
    if (!hasRoom) this.starved = true;
    return hasRoom;
  }

  /** Whether so much waits for the client that even answers to its own methods must wait. */
  isFull(): boolean {
    const isFull = this.pendingBytes + this.socket.writableLength > STOP_READING_BYTES;
    if (isFull) this.starved = true;
    return isFull;
  }

  flush(): void {
    const { pending, socket } = this;
    if (pending.length === 0) return;
    const isJoined = pending.length > 1 && this.pendingBytes <= MAX_JOINED_BYTES;
    const joined = isJoined ? [Buffer.concat(pending)] : pending;
    this.pending = [];
    this.pendingBytes = 0;
    if (!socket.writable) return;
    socket.cork();
    for (const bytes of joined) socket.write(bytes);
    socket.uncork();
  }

  /** Nothing more leaves, not even what waits. */
  mute(): void {
    this.muted = true;
    this.pending = [];
    this.pendingBytes = 0;
  }

  /** Whether nothing was sent since the last call. */
  idle(): boolean {
    const idle = !this.wrote;
    this.wrote = false;
    return idle;
  }

  /** Whether the client took all that was written to it since the last call. */
  progressed(): boolean {
    const progressed = this.drained;
    this.drained = false;
    return progressed;
  }
}
