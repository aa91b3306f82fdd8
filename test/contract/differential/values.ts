import type { Properties } from '../../../infra/local/broker/codec';
import type { FieldValue, Table } from '../../../infra/local/broker/fields';
import type { Arguments, MethodName } from '../../../infra/local/broker/methods';
import type { PartialArguments, Received } from './wire';

/**
 * Methods and their values as a script writes them, in plain objects, and as a transcript prints them: field tables
 * with the type of every value, which is what differs between brokers.
 */

export type Plain = string | number | boolean | null | Typed | readonly Plain[] | { readonly [name: string]: Plain };

/** A value whose type on the wire is spelled out, where the one that is guessed will not do. */
interface Typed {
  readonly typed: FieldValue;
}

export const typed = (field: FieldValue): Typed => ({ typed: field });

/** Arguments as a script writes them: what is left out is empty. */
export type Written<N extends MethodName> = {
  [F in keyof Arguments<N>]?: Arguments<N>[F] extends Table
    ? { readonly [name: string]: Plain }
    : Arguments<N>[F] extends bigint
      ? number
      : Arguments<N>[F] extends Buffer
        ? string
        : Arguments<N>[F];
};

const SHOWN_BODY_BYTES = 120;

export function tableOf(plain: { readonly [name: string]: Plain }): Table {
  return new Map(Object.entries(plain).map(([name, value]) => [name, fieldOf(value)]));
}

/** `{count: long 1, queue: longstr "orders"}`, in the order of the wire. */
export function printTable(table: Table): string {
  return `{${[...table].map(([name, field]) => `${name}: ${printField(field)}`).join(', ')}}`;
}

function printBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? JSON.stringify(text) : `<${bytes.toString('hex')}>`;
}

export function unwritten<N extends MethodName>(args: Written<N>): PartialArguments<N> {
  const raw = Object.entries(args).map(([name, value]) => {
    if (name === 'deliveryTag') return [name, BigInt(value as number)];
    if (name === 'response' || name === 'newSecret') return [name, Buffer.from(value as string)];
    return [name, typeof value === 'object' ? tableOf(value as { readonly [name: string]: Plain }) : value];
  });
  return Object.fromEntries(raw) as PartialArguments<N>;
}

/** `basic.deliver consumerTag="ctag" deliveryTag=1`: what is empty, zero or false is left out. */
export function print({ method, properties, body }: Received): string {
  const content = properties === undefined ? '' : ` ${printContent(properties, body ?? Buffer.alloc(0))}`;
  return `${method.name}${printArguments(method.args)}${content}`;
}

export function printArguments(args: object): string {
  return Object.entries(args)
    .map(([name, value]) => {
      if (value === true) return ` ${name}`;
      if (value instanceof Map) return value.size === 0 ? '' : ` ${name}=${printTable(value)}`;
      if (Buffer.isBuffer(value)) return value.length === 0 ? '' : ` ${name}=${printBytes(value)}`;
      if (!value) return '';
      return ` ${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`;
    })
    .join('');
}

export function printContent(properties: Properties, body: Buffer): string {
  const shown = body.length > SHOWN_BODY_BYTES ? `<${body.length} bytes>` : printBytes(body);
  return `|${printArguments(properties)} | ${shown}`;
}

function fieldOf(value: Plain): FieldValue {
  if (value === null) return { type: 'void', value };
  if (typeof value === 'string') return { type: 'longstr', value };
  if (typeof value === 'boolean') return { type: 'bool', value };
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return { type: 'double', value };
    return Math.abs(value) < 2 ** 31 ? { type: 'signedint', value } : { type: 'long', value: BigInt(value) };
  }
  if (Array.isArray(value)) return { type: 'array', value: value.map(fieldOf) };
  if (isTyped(value)) return value.typed;
  return { type: 'table', value: tableOf(value as { readonly [name: string]: Plain }) };
}

function isTyped(value: object): value is Typed {
  return 'typed' in value;
}

function printField(field: FieldValue): string {
  switch (field.type) {
    case 'table':
      return printTable(field.value);
    case 'array':
      return `[${field.value.map(printField).join(', ')}]`;
    case 'decimal':
      return `decimal ${field.value.digits}e-${field.value.places}`;
    case 'timestamp':
      return `timestamp ${isNow(field.value) ? '(now)' : field.value}`;
    case 'void':
      return 'void';
    case 'longstr':
    case 'binary':
      return `${field.type} ${printBytes(Buffer.from(field.value))}`;
    default:
      return `${field.type} ${field.value}`;
  }
}

function isNow(seconds: bigint): boolean {
  return Math.abs(Number(seconds) - Date.now() / 1000) < 3600;
}
