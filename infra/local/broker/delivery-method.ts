import { encodeMethod } from './codec';
import type { Message } from './message';

/**
 * The basic.deliver of one consumer's messages. Those of a run that were published alike differ in their tag
 * and mark alone: the method is encoded once for them, and stamped for each.
 */

export class DeliveryMethod {
  private readonly consumerTag: string;
  /** Where the delivery tag stands, and behind it the mark: after class, method and the consumer's tag. */
  private readonly tagAt: number;
  private exchange = '';
  private routingKey = '';
  private bytes: Buffer;

  constructor(consumerTag: string) {
    this.consumerTag = consumerTag;
    this.tagAt = 4 + 1 + Buffer.byteLength(consumerTag);
    this.bytes = this.encoded();
  }

  /** Valid until the next call. */
  encode(deliveryTag: number, redelivered: boolean, message: Pick<Message, 'exchange' | 'routingKeys'>): Buffer {
    const { tagAt } = this;
    const { exchange, routingKeys } = message;
    if (routingKeys[0] !== this.routingKey || exchange !== this.exchange) {
      this.exchange = exchange;
      this.routingKey = routingKeys[0];
      this.bytes = this.encoded();
    }
    this.bytes.writeUInt32BE(Math.floor(deliveryTag / 2 ** 32), tagAt);
    this.bytes.writeUInt32BE(deliveryTag % 2 ** 32, tagAt + 4);
    this.bytes[tagAt + 8] = redelivered ? 1 : 0;
    return this.bytes;
  }

  private encoded(): Buffer {
    const { consumerTag, exchange, routingKey } = this;
    return encodeMethod('basic.deliver', { consumerTag, deliveryTag: 0n, redelivered: false, exchange, routingKey });
  }
}
