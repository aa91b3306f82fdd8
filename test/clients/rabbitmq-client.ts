import { once } from 'node:events';
import { type AsyncMessage, Connection, type ReturnedMessage } from 'rabbitmq-client';
import { type Conversation, inbox, refusal, type Setting, type Transcript } from './conversation';

/** The conversation by rabbitmq-client. */
export const rabbitmqClient: Conversation = async (setting) => {
  const stranger = new Connection(setting.wrongPasswordUrl);
  const wrongPassword = await refusal(once(stranger, 'error').then(([error]) => Promise.reject(error)));
  await stranger.close();

  const connection = new Connection({ url: setting.url, heartbeat: setting.heartbeatSeconds });
  try {
    const told = await talk(connection, setting);
    await connection.close();
    return { wrongPassword, ...told };
  } catch (error) {
    // It would connect again, for ever.
    connection.unsafeDestroy();
    throw error;
  }
};

async function talk(connection: Connection, setting: Setting): Promise<Omit<Transcript, 'wrongPassword'>> {
  const { exchange, queue, routingKey, message } = setting;
  const channel = await connection.acquire();
  await channel.confirmSelect();
  await channel.exchangeDeclare({ exchange, type: 'direct', durable: false });
  const { queue: _, ...declared } = await channel.queueDeclare({ queue, durable: true });
  await channel.queueBind({ queue, exchange, routingKey });

  const { body, ...properties } = message;
  await channel.basicPublish({ exchange, routingKey, mandatory: true, ...properties }, body);
  const returning = once(channel, 'basic.return');
  await channel.basicPublish({ exchange, routingKey: 'nowhere', mandatory: true }, 'lost');
  const returned = returnedAs((await returning)[0]);

  const consumed = inbox<AsyncMessage>();
  await channel.basicConsume({ queue }, consumed.put);
  const first = await consumed.next();
  channel.basicNack({ deliveryTag: first.deliveryTag, requeue: true });
  const second = await consumed.next();
  channel.basicAck({ deliveryTag: second.deliveryTag });

  const open = () => connection.acquire();
  const missingQueue = await refusal((await open()).queueDeclare({ queue: setting.missingQueue, passive: true }));
  const otherArguments = await refusal((await open()).queueDeclare({ queue, durable: false }));
  const other = await open();
  const { queue: __, ...stillThere } = await other.queueDeclare({ queue, passive: true });
  // This client closes once all its channels are.
  await other.close();

  const last = await consumed.next();
  channel.basicAck({ deliveryTag: last.deliveryTag });
  const { messageCount: deleted } = await channel.queueDelete({ queue });
  await channel.exchangeDelete({ exchange });
  await channel.close();
  return {
    declared,
    returned,
    deliveries: [deliveredAs(first), deliveredAs(second)],
    missingQueue,
    otherArguments,
    stillThere,
    last: String(last.body),
    deleted,
  };
}

function returnedAs({ replyCode, replyText, exchange, routingKey, body }: ReturnedMessage) {
  return { replyCode, replyText, exchange, routingKey, body: String(body) };
}

function deliveredAs(message: AsyncMessage) {
  const { body, contentType = '', messageId = '', headers = {}, exchange, routingKey, redelivered } = message;
  return { body: String(body), contentType, messageId, headers, exchange, routingKey, redelivered };
}
