/**
 * How much the broker's messages take, counted and not measured, and the alarm above the mark. Whoever
 * publishes during the alarm waits for its end; consumers go on, and bring it about.
 */

/** What is counted: a message, however many hold it. */
interface Held {
  /** How many hold it: queues, and a transaction that is not committed yet. For `Memory` alone to change. */
  holders: number;
  readonly encodedProperties: Buffer;
  readonly body: Buffer;
}

// About what lies around the bytes: the message, its keys and buffers, and its place in a queue.
const STAY_BYTES = 512;
// Properties are kept decoded too, and a header field of few bytes is several objects then.
const DECODED_BYTES_PER_BYTE = 16;

export class Memory {
  private readonly highWaterBytes: number;
  private bytes = 0;
  private forced = false;
  private checking = false;
  private readonly waiting = new Set<() => void>();

  constructor(highWaterBytes: number) {
    this.highWaterBytes = highWaterBytes;
  }

  get heldBytes(): number {
    return this.bytes;
  }

  get alarm(): boolean {
    return this.forced || this.bytes > this.highWaterBytes;
  }

  /** Keeps the alarm up, however little is held, until it is let go. */
  force(on: boolean): void {
    this.forced = on;
    this.checkLater();
  }

  hold(message: Held): void {
    if (message.holders === 0) this.bytes += sizeOf(message);
    message.holders += 1;
    this.bytes += STAY_BYTES;
  }

  release(message: Held): void {
    message.holders -= 1;
    this.letGo(STAY_BYTES + (message.holders === 0 ? sizeOf(message) : 0));
  }

  /** Bytes of a message that is still being received. */
  receive(bytes: number): void {
    this.bytes += bytes;
  }

  letGo(bytes: number): void {
    this.bytes -= bytes;
    if (this.waiting.size > 0) this.checkLater();
  }

  /** Calls back once, when the alarm is over. Returns what takes the wish back. */
  whenCleared(callback: () => void): () => void {
    this.waiting.add(callback);
    // The alarm that the caller saw may be over already.
    if (!this.alarm) this.checkLater();
    return () => this.waiting.delete(callback);
  }

  /** Not at once: whoever lets go of a message is in the middle of its work, and publishers that go on would be too. */
  private checkLater(): void {
    if (this.checking) return;
    this.checking = true;
    setImmediate(() => {
      this.checking = false;
      for (const callback of [...this.waiting]) {
        if (this.alarm) return;
        this.waiting.delete(callback);
        callback();
      }
    });
  }
}

function sizeOf({ encodedProperties, body }: Held): number {
  return encodedProperties.length * (1 + DECODED_BYTES_PER_BYTE) + body.length;
}
