import amqp from 'amqplib';

/** amqplib alone: connects while it is loaded, and publishes what a message holds, persistent and confirmed. */

const { AMQP_URL = '', API_QUEUE = '' } = process.env;
const opening = open();

export const handler = async ({ body }: { body: string }) => {
  const channel = await opening;
  await new Promise<void>((resolve, reject) => {
    const settle = (error: unknown) => (error ? reject(error) : resolve());
    channel.sendToQueue(API_QUEUE, Buffer.from(body), { persistent: true, mandatory: true }, settle);
  });
  return { statusCode: 200 };
};

async function open() {
  const connection = await amqp.connect(AMQP_URL, { noDelay: true });
  return connection.createConfirmChannel();
}
