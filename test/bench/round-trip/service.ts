import { connect } from 'amqplib';

/**
 * The service behind every gateway: echoes each request as a reply in Nest's event style, and acknowledges the request
 * once RabbitMQ has confirmed the reply. Environment: AMQP_URL, and QUEUES, `{"<queue of requests>": "<queue of
 * replies>"}`.
 */
const { AMQP_URL = '', QUEUES = '{}' } = process.env;

async function main(): Promise<void> {
  const connection = await connect(AMQP_URL, { noDelay: true });
  for (const [requests, replies] of Object.entries<string>(JSON.parse(QUEUES))) {
    const channel = await connection.createConfirmChannel();
    await channel.prefetch(200);
    await channel.assertQueue(requests, { durable: true });
    await channel.assertQueue(replies, { durable: true });
    await channel.consume(requests, (request) => {
      if (request === null) return;
      const { id, prompt, metadata } = JSON.parse(request.content.toString('utf8')).data;
      const reply = Buffer.from(JSON.stringify({ pattern: { cmd: 'recv' }, data: { id, prompt, metadata } }));
      channel.sendToQueue(request.properties.replyTo ?? replies, reply, { persistent: true }, (error) => {
        if (error === null) channel.ack(request);
      });
    });
  }
  process.send?.('ready');
}

process.on('disconnect', () => process.exit());
void main();
