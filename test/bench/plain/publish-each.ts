import amqp from 'amqplib';

/** As most samples have it: a connection for each message. With `noDelay`, which they lack: it saves them 40 ms. */

const { AMQP_URL = '', API_QUEUE = '' } = process.env;

export const handler = async ({ body }: { body: string }) => {
  const connection = await amqp.connect(AMQP_URL, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(API_QUEUE, Buffer.from(body), { persistent: true });
  await channel.waitForConfirms();
  await channel.close();
  await connection.close();
  return { statusCode: 200 };
};
