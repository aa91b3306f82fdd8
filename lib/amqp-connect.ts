import type { EventEmitter } from 'node:events';
import { promisify } from 'node:util';
import type amqp from 'amqplib';
// @ts-expect-error: amqplib exports its parts to nobody
import { ChannelModel } from '../node_modules/amqplib/lib/channel_model.js';
// @ts-expect-error
import { connect as openConnection } from '../node_modules/amqplib/lib/connect.js';
// @ts-expect-error
import { Connection } from '../node_modules/amqplib/lib/connection.js';

/**
 * amqplib's `connect` without its recovery, which is not bundled then, and with one difference: what a broker says never
 * ends the process. amqplib reads all that arrived together with the broker's open-ok before it hands the connection out; a
 * fatal close among it, or garbage, was an 'error' that nobody could listen to yet. Here every connection is listened to from
 * its beginning, and one that has ended at once is handed out and refuses to open a channel.
 */
export const connect: typeof amqp.connect = async (url, options) =>
  new ChannelModel(await promisify(openConnection)(url, options));

const { open } = Connection.prototype;
Connection.prototype.open = function (this: EventEmitter, ...args: unknown[]) {
  this.on('error', () => undefined);
  return open.apply(this, args);
};
