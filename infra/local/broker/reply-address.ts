import { randomBytes } from 'node:crypto';
import { internalError } from './errors';

/**
 * Addresses of direct replies: they look like names of queues, and what is published there goes straight to the
 * channel that asked.
 */

/** Stands for the client's own reply consumer; with a suffix it is the address of one. No queue lies behind either. */
export const REPLY_TO = 'amq.rabbitmq.reply-to';

const PREFIX = `${REPLY_TO}.`;
// The address names an Erlang process and a key, each in base64; every process begins with these bytes.
const PROCESS = Buffer.from([0x83, 0x58, 0x76]);

export function createReplyAddress(): string {
  const process = Buffer.concat([PROCESS, randomBytes(32)]);
  return `${PREFIX}${process.toString('base64')}.${randomBytes(16).toString('base64')}`;
}

export function isReplyAddress(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** @throws AmqpError 541 for a made-up address in two parts: RabbitMQ reads the first as a process and stumbles. */
export function checkReplyAddress(name: string): void {
  if (!isReplyAddress(name)) return;
  const parts = name.slice(PREFIX.length).split('.').filter(Boolean);
  if (parts.length === 2 && !parts[0]?.startsWith(PROCESS.toString('base64'))) throw internalError();
}
