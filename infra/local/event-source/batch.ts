import type { ConsumeMessage } from 'amqplib';
import { type MqRecord, mqRecord } from './event';

/**
 * Gathers messages into batches as a mapping does: a batch is handed out when it is full by count, when one more
 * message would exceed the payload of an invocation, or when its window has passed since its first message. `take` may
 * wait; messages that come meanwhile, or while a batch is being worked off, stand in line for the next one.
 */

export interface Batch {
  records: MqRecord[];
  /** The last message: to acknowledge it and all before it acknowledges the batch. */
  last: ConsumeMessage;
}

export interface BatchLimits {
  batchSize: number;
  windowMs: number;
  maxBytes?: number;
}

/** AWS Lambda: 6 MB for the payload of an invocation. */
const payloadBytes = 6 * 1024 * 1024;
/** Room for the event around the records. */
const envelopeBytes = 1024;

interface Waiting {
  message: ConsumeMessage;
  record: MqRecord;
  bytes: number;
}

export class Batcher {
  readonly #batchSize: number;
  readonly #windowMs: number;
  readonly #maxBytes: number;
  readonly #waiting: Waiting[] = [];
  #onChange: (() => void) | undefined;
  #firstAt = 0;
  #ended = false;

  constructor({ batchSize, windowMs, maxBytes = payloadBytes }: BatchLimits) {
    this.#batchSize = batchSize;
    this.#windowMs = windowMs;
    this.#maxBytes = maxBytes - envelopeBytes;
  }

  push(message: ConsumeMessage): void {
    if (this.#waiting.length === 0) this.#firstAt = Date.now();
    const record = mqRecord(message);
    this.#waiting.push({ message, record, bytes: Buffer.byteLength(JSON.stringify(record)) });
    this.#onChange?.();
  }

  /** No more batches: a waiting `take` gives undefined. */
  end(): void {
    this.#ended = true;
    this.#onChange?.();
  }

  /** The next batch, or undefined once ended. One caller at a time. */
  async take(): Promise<Batch | undefined> {
    while (!this.#ended) {
      const { count, full } = this.#next();
      const waitMs = count === 0 ? undefined : this.#firstAt + this.#windowMs - Date.now();
      if (full || (waitMs !== undefined && waitMs <= 0)) return this.#cut(count);
      await this.#change(waitMs);
    }
    return undefined;
  }

  /** How many messages the next batch has, at least one if any wait, and whether it can take no more. */
  #next(): { count: number; full: boolean } {
    let bytes = 0;
    for (const [index, waiting] of this.#waiting.entries()) {
      bytes += waiting.bytes;
      if (index > 0 && bytes > this.#maxBytes) return { count: index, full: true };
      if (index + 1 === this.#batchSize) return { count: this.#batchSize, full: true };
    }
    return { count: this.#waiting.length, full: false };
  }

  #cut(count: number): Batch {
    const taken = this.#waiting.splice(0, count);
    this.#firstAt = Date.now();
    return { records: taken.map(({ record }) => record), last: (taken.at(-1) as Waiting).message };
  }

  #change(timeoutMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#onChange = undefined;
        resolve();
      };
      const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
      this.#onChange = done;
    });
  }
}
