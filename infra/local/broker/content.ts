import { decodeProperties, type Properties } from './codec';
import { type AmqpError, causedBy, unexpectedFrame } from './errors';
import { BASIC_CLASS, CONTENT_HEADER_BYTES, FRAME_BODY, FRAME_HEADER, type Frame } from './framing';
import type { Memory } from './memory';
import type { Arguments } from './methods';

/**
 * What a client publishes, put together from the frames after its basic.publish: one header, then body until
 * the size is reached.
 */

export interface Content {
  readonly args: Arguments<'basic.publish'>;
  readonly properties: ContentProperties;
  /** As the header says; a body above the limit is not kept. */
  readonly size: number;
  readonly body: Buffer;
}

/** The properties of a message: as they came, and decoded once somebody asks. */
export class ContentProperties {
  /** Flags and values, as they stand in a content header behind the body size. */
  readonly bytes: Buffer;
  private known: Properties | undefined;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** @throws AmqpError 541 for what RabbitMQ cannot read */
  get decoded(): Properties {
    this.known ??= decodeProperties(this.bytes);
    return this.known;
  }
}

const NO_PROPERTIES = new ContentProperties(Buffer.alloc(2));
// Larger properties are not kept for the next message, or every idle channel might hold a frame of them.
const MAX_KEPT_BYTES = 1024;
// What a buffer takes beside its bytes: a body may come in frames of one byte.
const PART_BYTES = 128;

export class ContentReader {
  private readonly maxBytes: number;
  private readonly memory: Memory;
  private args: Arguments<'basic.publish'> | undefined;
  private headerRead = false;
  private properties = NO_PROPERTIES;
  private size = 0;
  private missing = 0;
  private parts: Buffer[] = [];
  private countedBytes = 0;

  constructor(maxBytes: number, memory: Memory) {
    this.maxBytes = maxBytes;
    this.memory = memory;
  }

  /** Whether the next frame has to be one of a content. */
  get reading(): boolean {
    return this.args !== undefined;
  }

  start(args: Arguments<'basic.publish'>): void {
    this.args = args;
    this.headerRead = false;
  }

  /** The content once this frame completes it. @throws AmqpError 505 for a frame that does not come now */
  take(received: Frame): Content | undefined {
    const { args } = this;
    if (args === undefined) throw unexpectedFrame('expected method frame, got non method frame instead');
    if (this.headerRead) this.takeBody(received);
    else this.takeHeader(received);
    if (this.missing > 0) {
      this.count();
      return undefined;
    }
    const { properties, size, parts } = this;
    this.abandon();
    return { args, properties, size, body: parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts) };
  }

  /** Lets go of what came so far. */
  abandon(): void {
    this.args = undefined;
    this.parts = [];
    if (this.properties.bytes.length > MAX_KEPT_BYTES) this.properties = NO_PROPERTIES;
    this.memory.letGo(this.countedBytes);
    this.countedBytes = 0;
  }

  private count(): void {
    const ofBody = this.parts.length === 0 ? 0 : this.size - this.missing;
    const bytes = this.properties.bytes.length + ofBody + this.parts.length * PART_BYTES;
    this.memory.receive(bytes - this.countedBytes);
    this.countedBytes = bytes;
  }

  private takeHeader({ type, payload }: Frame): void {
    const got = (what: string) => unexpected(`expected content header for class ${BASIC_CLASS}, got ${what} instead`);
    if (type !== FRAME_HEADER || payload.readUInt16BE(2) !== 0) {
      throw got('non content header frame');
    }
    const classId = payload.readUInt16BE(0);
    if (classId !== BASIC_CLASS) throw got(`one for class ${classId}`);
    this.headerRead = true;
    this.size = payload.readUInt32BE(4) * 2 ** 32 + payload.readUInt32BE(8);
    this.missing = this.size;
    const bytes = payload.subarray(CONTENT_HEADER_BYTES);
    // Messages come in runs with the same properties, which then are kept and decoded once.
    if (!bytes.equals(this.properties.bytes)) this.properties = new ContentProperties(Buffer.from(bytes));
  }

  private takeBody(received: Frame): void {
    // RabbitMQ waits for ever after more body than announced; here the client is told.
    if (received.type !== FRAME_BODY || received.size > this.missing) {
      throw unexpected('expected content body, got non content body frame instead');
    }
    this.missing -= received.size;
    // What will be refused is passed over. What is kept is copied: it must not hold on to all that the socket read.
    if (this.size <= this.maxBytes) this.parts.push(received.copyPayload());
  }
}

function unexpected(explanation: string): AmqpError {
  return causedBy('basic.publish', unexpectedFrame(explanation));
}
