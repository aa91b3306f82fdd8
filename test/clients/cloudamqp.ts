import { AMQPClient, type AMQPMessage } from '@cloudamqp/amqp-client';
import { type Conversation, counts, inbox, refusal, type Setting, type Transcript } from './conversation';

/** The conversation by @cloudamqp/amqp-client, over TCP. */
export const cloudamqp: Conversation = async (setting) => {
  const wrongPassword = await refusal(new AMQPClient(setting.wrongPasswordUrl, undefined, null).connect());

  const connection = new AMQPClient(`${setting.url}?heartbeat=${setting.heartbeatSeconds}`, undefined, null);
  await connection.connect();
  try {
    return { wrongPassword, ...(await talk(connection, setting)) };
  } finally {
    await connection.close();
  }
};

async function talk(connection: AMQPClient, setting: Setting): Promise<Omit<Transcript, 'wrongPassword'>> {
  const { exchange, queue, routingKey, message } = setting;
  const channel = await connection.channel();
  await channel.confirmSelect();
  await channel.exchangeDeclare(exchange, 'direct', { durable: false });
  const declared = counts(await channel.queueDeclare(queue, { durable: true }));
  await channel.queueBind(queue, exchange, routingKey);

  const { contentType, messageId, headers } = message as { headers: Record<string, string> } & typeof message;
  await channel.basicPublish(exchange, routingKey, message.body, { contentType, messageId, headers }, true);
  const returns = inbox<AMQPMessage>();
  channel.onReturn = returns.put;
  await channel.basicPublish(exchange, 'nowhere', 'lost', {}, true);
  const returned = returnedAs(await returns.next());

  const consumed = inbox<AMQPMessage>();
  await channel.basicConsume(queue, { noAck: false }, consumed.put);
  const first = await consumed.next();
  await first.nack(true);
  const second = await consumed.next();
  await second.ack();

  const open = () => connection.channel();
  const missingQueue = await refusal((await open()).queueDeclare(setting.missingQueue, { passive: true }));
  const otherArguments = await refusal((await open()).queueDeclare(queue, { durable: false }));
  const stillThere = counts(await (await open()).queueDeclare(queue, { passive: true }));

  const last = await consumed.next();
  await last.ack();
  const { messageCount: deleted } = await channel.queueDelete(queue);
  await channel.exchangeDelete(exchange);
  return {
    declared,
    returned,
    deliveries: [deliveredAs(first), deliveredAs(second)],
    missingQueue,
    otherArguments,
    stillThere,
    last: last.bodyToString() ?? '',
    deleted,
  };
}

function returnedAs(message: AMQPMessage) {
  const { replyCode = 0, replyText = '', exchange, routingKey } = message;
  return { replyCode, replyText, exchange, routingKey, body: message.bodyToString() ?? '' };
}

function deliveredAs(message: AMQPMessage) {
  const { exchange, routingKey, redelivered, properties } = message;
  const { contentType = '', messageId = '', headers = {} } = properties;
  return { body: message.bodyToString() ?? '', contentType, messageId, headers, exchange, routingKey, redelivered };
}
