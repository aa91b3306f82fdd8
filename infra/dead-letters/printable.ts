import { isUtf8 } from 'node:buffer';

/**
 * What strangers wrote, made fit for a terminal: no control character, and none that hides text or changes its
 * direction, gets there raw. Those are Unicode's categories C (control, format, private, unassigned) and its separators of
 * lines and paragraphs.
 */

const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** On one line, with `\u{1b}` for what cannot be printed. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** JSON on one line, exact for whoever parses it; bytes as `{"base64": text}`. */
export function printableJson(value: unknown): string {
  const json = JSON.stringify(value, function (this: Record<string, unknown>, key, item) {
    // The item itself comes after its toJSON, which makes numbers of bytes.
    const original = this[key];
    return Buffer.isBuffer(original) ? { base64: original.toString('base64') } : item;
  });
  return json.replace(unprintable, (character) => {
    const units = character.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
    return units.map((unit) => `\\u${unit}`).join('');
  });
}

/** As text, where the bytes are UTF-8 without control characters other than tabs and line breaks. */
export function textOrBase64(bytes: Buffer): { encoding: 'utf8' | 'base64'; body: string } {
  const text = isUtf8(bytes) ? bytes.toString('utf8') : undefined;
  return text === undefined || /\p{Cc}/u.test(text.replace(/[\t\r\n]/g, ''))
    ? { encoding: 'base64', body: bytes.toString('base64') }
    : { encoding: 'utf8', body: text };
}
