import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeMethod } from '../../../infra/local/broker/codec';
import { DeliveryMethod } from '../../../infra/local/broker/delivery-method';

test('a delivery is the same bytes whatever was delivered before it', () => {
  const consumerTag = fc.string({ maxLength: 60 });
  // Few names, so that runs of the same come up.
  const exchange = fc.constantFrom('', 'a', 'amq.topic');
  const routingKey = fc.constantFrom('', 'key', 'ключ');
  const delivery = fc.record({ deliveryTag: fc.maxSafeNat(), redelivered: fc.boolean(), exchange, routingKey });
  fc.assert(
    fc.property(consumerTag, fc.array(delivery), (tag, deliveries) => {
      const method = new DeliveryMethod(tag);
      for (const { deliveryTag, redelivered, ...place } of deliveries) {
        const message = { exchange: place.exchange, routingKeys: [place.routingKey] as const };
        const args = { consumerTag: tag, deliveryTag: BigInt(deliveryTag), redelivered, ...place };
        expect(method.encode(deliveryTag, redelivered, message)).toEqual(encodeMethod('basic.deliver', args));
      }
    }),
  );
});
