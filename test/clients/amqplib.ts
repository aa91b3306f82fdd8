import { once } from 'node:events';
import { type ChannelModel, type ConsumeMessage, connect, type Message as Received } from 'amqplib';
import { type Conversation, counts, inbox, type Message, refusal, type Setting, type Transcript } from './conversation';

/** The conversation by amqplib. */
export const amqplib: Conversation = async (setting) => {
  const wrongPassword = await refusal(connect(setting.wrongPasswordUrl));

  const connection = await connect(`${setting.url}?heartbeat=${setting.heartbeatSeconds}`);
  connection.on('error', () => undefined);
  try {
    return { wrongPassword, ...(await talk(connection, setting)) };
  } finally {
    await connection.close();
  }
};

async function talk(connection: ChannelModel, setting: Setting): Promise<Omit<Transcript, 'wrongPassword'>> {
  const { exchange, queue, routingKey, message } = setting;
  const open = async () => {
    const opened = await connection.createConfirmChannel();
    opened.on('error', () => undefined);
    return opened;
  };
  const channel = await open();
  await channel.assertExchange(exchange, 'direct', { durable: false });
  const declared = counts(await channel.assertQueue(queue, { durable: true }));
  await channel.bindQueue(queue, exchange, routingKey);

  channel.publish(exchange, routingKey, Buffer.from(message.body), { mandatory: true, ...propertiesOf(message) });
  await channel.waitForConfirms();
  const returning = once(channel, 'return');
  channel.publish(exchange, 'nowhere', Buffer.from('lost'), { mandatory: true });
  await channel.waitForConfirms();
  const returned = returnedAs((await returning)[0]);

  const consumed = inbox<ConsumeMessage>();
  await channel.consume(queue, (delivery) => delivery && consumed.put(delivery));
  const first = await consumed.next();
  channel.nack(first);
  const second = await consumed.next();
  channel.ack(second);

  const missingQueue = await refusal((await open()).checkQueue(setting.missingQueue));
  const otherArguments = await refusal((await open()).assertQueue(queue, { durable: false }));
  const stillThere = counts(await (await open()).checkQueue(queue));

  const last = await consumed.next();
  channel.ack(last);
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

export const propertiesOf = ({ contentType, messageId, headers }: Message) => ({
  contentType,
  messageId,
  headers,
});

export function returnedAs({ content, fields }: Received) {
  const { replyCode, replyText, exchange, routingKey } = fields as unknown as {
    replyCode: number;
    replyText: string;
    exchange: string;
    routingKey: string;
  };
  return { replyCode, replyText, exchange, routingKey, body: String(content) };
}

export function deliveredAs({ content, fields, properties }: ConsumeMessage) {
  const { exchange, routingKey, redelivered } = fields;
  const { contentType, messageId, headers = {} } = properties;
  return { body: String(content), contentType, messageId, headers, exchange, routingKey, redelivered };
}
