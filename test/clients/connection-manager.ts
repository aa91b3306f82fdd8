import { once } from 'node:events';
import { type AmqpConnectionManager, connect } from 'amqp-connection-manager';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { deliveredAs, propertiesOf, returnedAs } from './amqplib';
import { type Conversation, counts, inbox, refusal, type Setting, type Transcript } from './conversation';

/** The conversation by amqp-connection-manager, which has a way of its own to connect, publish and consume. */
export const connectionManager: Conversation = async (setting) => {
  const stranger = connect([setting.wrongPasswordUrl]);
  const wrongPassword = await refusal(once(stranger, 'connectFailed').then(([{ err }]) => Promise.reject(err)));
  await stranger.close();

  const connection = connect([setting.url], { heartbeatIntervalInSeconds: setting.heartbeatSeconds });
  try {
    return { wrongPassword, ...(await talk(connection, setting)) };
  } finally {
    await connection.close();
  }
};

async function talk(connection: AmqpConnectionManager, setting: Setting): Promise<Omit<Transcript, 'wrongPassword'>> {
  const { exchange, queue, routingKey, message } = setting;
  const returns = inbox<ConsumeMessage>();
  const open = async () => {
    const opened = connection.createChannel({
      // Without a listener of its own, a channel's error takes down the connection.
      setup: async (channel: ConfirmChannel) => {
        channel.on('return', returns.put).on('error', () => undefined);
      },
    });
    await opened.waitForConnect();
    return opened;
  };
  const channel = await open();
  await channel.assertExchange(exchange, 'direct', { durable: false });
  const declared = counts(await channel.assertQueue(queue, { durable: true }));
  await channel.bindQueue(queue, exchange, routingKey);

  await channel.publish(exchange, routingKey, Buffer.from(message.body), { mandatory: true, ...propertiesOf(message) });
  await channel.publish(exchange, 'nowhere', Buffer.from('lost'), { mandatory: true });
  const returned = returnedAs(await returns.next());

  const consumed = inbox<ConsumeMessage>();
  await channel.consume(queue, consumed.put);
  const first = await consumed.next();
  channel.nack(first);
  const second = await consumed.next();
  channel.ack(second);

  const missingQueue = await refusal((await open()).checkQueue(setting.missingQueue));
  const otherArguments = await refusal((await open()).assertQueue(queue, { durable: false }));
  const stillThere = counts(await (await open()).checkQueue(queue));

  const last = await consumed.next();
  channel.ack(last);
  // It would consume the deleted queue again.
  await channel.cancelAll();
  const { messageCount: deleted } = await channel.deleteQueue(queue);
  await channel.deleteExchange(exchange);
  return {
    declared,
    returned,
    deliveries: [deliveredAs(first), deliveredAs(second)],
    missingQueue,
    otherArguments,
    stillThere,
    last: String(last.content),
    deleted,
  };
}
