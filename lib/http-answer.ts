import type { Answer } from './http';

/** Reads an answer of HTTP/1.1 as it comes. A byte is a character of the text that it is given. */

/** DynamoDB answers with 16 MB at most. */
const maxBodyChars = 20_000_000;
/** The size of a chunk, and what may stand behind it. */
const longestSizeLine = 1000;
/** No head of AWS's is as long. */
const maxHeadChars = 65_536;

export class AnswerReader {
  #status = 0;
  /** Of what comes before the head's end, all; then the status line and the headers. */
  #head = '';
  hasHead = false;
  #body: string[] = [];
  #bodyChars = 0;
  #length: number | 'chunked' | 'to the end' = 0;

  /** What is wrong with it, where it cannot be read. */
  read(text: string): string | undefined {
    if (this.hasHead) return this.#readBody(text);
    this.#head += text;
    const headEnd = this.#head.indexOf('\r\n\r\n');
    if (headEnd < 0) return this.#head.length > maxHeadChars ? 'The head of the answer is too long.' : undefined;
    const rest = this.#head.slice(headEnd + 4);
    this.#head = this.#head.slice(0, headEnd + 2);
    this.#status = Number(/^HTTP\/1\.\d (\d{3})/.exec(this.#head)?.[1] ?? 0);
    if (this.#status === 0) return 'The answer is none of HTTP/1.1.';
    // Something is said before the answer: `103 Early Hints`.
    if (this.#status < 200) {
      this.#head = '';
      return this.read(rest);
    }
    this.hasHead = true;
    this.#length = lengthOf(this.#status, this.#head);
    return this.#readBody(rest);
  }

  #readBody(text: string): string | undefined {
    this.#body.push(text);
    this.#bodyChars += text.length;
    return this.#bodyChars > maxBodyChars ? 'The answer is too large.' : undefined;
  }

  get isWhole(): boolean {
    if (!this.hasHead) return false;
    if (this.#length === 'chunked') return this.#mayEndChunks() && this.#chunks().end !== undefined;
    return this.#length !== 'to the end' && this.#bodyChars >= this.#length;
  }

  /** Nothing but the end of the connection tells that of its body. */
  get endsWithItsConnection(): boolean {
    return this.hasHead && this.#length === 'to the end';
  }

  /** Whether another request may go where the answer, whole as it is, came from. */
  get isReusable(): boolean {
    const length = this.#length === 'chunked' ? this.#chunks().end : this.#length;
    return this.#bodyChars === length && !/^HTTP\/1\.0|\r\nconnection:[^\r]*\bclose\b/i.test(this.#head);
  }

  answer(): Answer {
    const text = this.#length === 'chunked' ? this.#chunks().text : this.#body.join('');
    return { status: this.#status, head: this.#head, text: Buffer.from(text, 'latin1').toString() };
  }

  #chunks() {
    return readChunks(this.#body.join(''));
  }

  /** Whether it is worth a look at the whole. */
  #mayEndChunks(): boolean {
    return this.#body.slice(-5).join('').includes('\r\n\r\n');
  }
}

function lengthOf(status: number, head: string): number | 'chunked' | 'to the end' {
  if (status === 204 || status === 304) return 0;
  if (/\r\ntransfer-encoding:[^\r]*\bchunked\b/i.test(head)) return 'chunked';
  const [, length] = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head) ?? [];
  return length === undefined ? 'to the end' : Number(length);
}

/** @returns `end`: where the body ends, trailers included, once all of it has come. */
function readChunks(body: string): { text: string; end?: number } {
  let text = '';
  for (let at = 0; ; ) {
    const [line, digits = ''] = /^([\da-f]+)[^\r]*\r\n/i.exec(body.slice(at, at + longestSizeLine)) ?? [];
    if (line === undefined) return { text };
    const size = Number.parseInt(digits, 16);
    if (size === 0) {
      // A line without anything in it, be it the first behind that of the last chunk.
      const end = body.indexOf('\r\n\r\n', at + line.length - 2);
      return end < 0 ? { text } : { text, end: end + 4 };
    }
    const from = at + line.length;
    text += body.slice(from, from + size);
    at = from + size + 2;
  }
}
