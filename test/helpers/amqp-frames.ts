import { encodeMethod, encodeProperties, type Properties } from '../../infra/local/broker/codec';
import type { FieldValue } from '../../infra/local/broker/fields';
import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD, FRAME_OVERHEAD, frame } from '../../infra/local/broker/framing';
import { type Arguments, type FieldKinds, METHODS, type MethodName } from '../../infra/local/broker/methods';

/** What a client says, as bytes, for clients of tests that hide nothing. */

export const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');

export interface Login {
  mechanism?: string;
  response?: string;
  capabilities?: readonly string[];
  virtualHost?: string;
  channelMax?: number;
  frameMax?: number;
  heartbeat?: number;
}

const BASIC_CLASS = 60;

const EMPTY: { readonly [K in keyof FieldKinds]: FieldKinds[K] } = {
  octet: 0,
  short: 0,
  long: 0,
  longlong: 0n,
  bit: false,
  shortstr: '',
  longstr: Buffer.alloc(0),
  table: new Map(),
};

/** Arguments that are not given are zero, false or empty. */
export function method<N extends MethodName>(channel: number, name: N, args: Partial<Arguments<N>> = {}): Buffer {
  const fields = Object.entries(METHODS[name].fields) as [string, keyof FieldKinds][];
  const empty = Object.fromEntries(fields.map(([field, kind]) => [field, EMPTY[kind]]));
  return frame(FRAME_METHOD, channel, encodeMethod(name, { ...empty, ...args } as Arguments<N>));
}

/** @param size of the body that is announced, in bytes */
export function header(channel: number, size: number | bigint, properties = encodeProperties({})): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(BASIC_CLASS, 0);
  fixed.writeBigUInt64BE(BigInt(size), 4);
  return frame(FRAME_HEADER, channel, Buffer.concat([fixed, properties]));
}

export function body(channel: number, bytes: Buffer): Buffer {
  return frame(FRAME_BODY, channel, bytes);
}

/** Header and body; a body above the frame limit takes several frames, an empty one none. */
export function content(channel: number, bytes: Buffer, properties: Properties = {}, maxFrameBytes = 131_072): Buffer {
  const frames = [header(channel, bytes.length, encodeProperties(properties))];
  const step = maxFrameBytes - FRAME_OVERHEAD;
  for (let at = 0; at < bytes.length; at += step) frames.push(body(channel, bytes.subarray(at, at + step)));
  return Buffer.concat(frames);
}

/** All that a client says until its connection is open, without a look at the answers. */
export function login(options: Login = {}): Buffer[] {
  const { mechanism = 'PLAIN', response = '\0guest\0guest', capabilities = [], virtualHost = '/' } = options;
  const { channelMax = 2047, frameMax = 131_072, heartbeat = 0 } = options;
  const able = capabilities.map((name): [string, FieldValue] => [name, { type: 'bool', value: true }]);
  return [
    PROTOCOL_HEADER,
    method(0, 'connection.start-ok', {
      clientProperties: new Map([['capabilities', { type: 'table', value: new Map(able) }]]),
      mechanism,
      response: Buffer.from(response, 'latin1'),
      locale: 'en_US',
    }),
    method(0, 'connection.tune-ok', { channelMax, frameMax, heartbeat }),
    method(0, 'connection.open', { virtualHost }),
  ];
}
