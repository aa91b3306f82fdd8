import { type AmqpError, causedBy, unexpectedFrame } from './errors';
import { FRAME_BODY, FRAME_HEADER, type Frame } from './framing';
import type { Arguments } from './methods';

/**
 * What a client publishes, put together from the frames after its basic.publish: one header, then body until
 * the size is reached.
 */

export interface Content {
  readonly args: Arguments<'basic.publish'>;
  /** The header frame's payload. */
  readonly header: Buffer;
  /** As the header says; a body above the limit is not kept. */
  readonly size: number;
  readonly body: Buffer;
}

const BASIC_CLASS = 60;
// Class, weight, size and flags.
const MIN_HEADER_BYTES = 14;

export class IncomingContent {
  private readonly args: Arguments<'basic.publish'>;
  private readonly maxBytes: number;
  private header: Buffer | undefined;
  private size = 0;
  private missing = 0;
  private readonly parts: Buffer[] = [];

  constructor(args: Arguments<'basic.publish'>, maxBytes: number) {
    this.args = args;
    this.maxBytes = maxBytes;
  }

  /** The content once this frame completes it. @throws AmqpError 505 for a frame that does not come now */
  take(received: Frame): Content | undefined {
    if (this.header === undefined) this.header = this.takeHeader(received);
    else this.takeBody(received);
    if (this.missing > 0) return undefined;
    const { args, header, size, parts } = this;
    return { args, header, size, body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
  }

  private takeHeader({ type, payload }: Frame): Buffer {
    const got = (what: string) => unexpected(`expected content header for class ${BASIC_CLASS}, got ${what} instead`);
    if (type !== FRAME_HEADER || payload.length < MIN_HEADER_BYTES || payload.readUInt16BE(2) !== 0) {
      throw got('non content header frame');
    }
    const classId = payload.readUInt16BE(0);
    if (classId !== BASIC_CLASS) throw got(`one for class ${classId}`);
    this.size = Number(payload.readBigUInt64BE(4));
    this.missing = this.size;
    return Buffer.from(payload);
  }

  private takeBody({ type, payload }: Frame): void {
    // RabbitMQ waits for ever after more body than announced; here the client is told.
    if (type !== FRAME_BODY || payload.length > this.missing) {
      throw unexpected('expected content body, got non content body frame instead');
    }
    this.missing -= payload.length;
    // What will be refused is counted, not kept. What is kept is copied: it must not hold on to all that the socket read.
    if (this.size <= this.maxBytes) this.parts.push(Buffer.from(payload));
  }
}

function unexpected(explanation: string): AmqpError {
  return causedBy('basic.publish', unexpectedFrame(explanation));
}
