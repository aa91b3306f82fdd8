import { openTopology } from '../lib/compose';
import { readConfig } from '../lib/config';
import { reasonsOf } from '../lib/reason';
import { declareQueues } from './declare';
import { logInToAws } from './operator';

/** `npm run topology`: declares the gateway's queues on the broker of AMQP_URL; run again, it changes nothing. */
const help = `Declares the gateway's queues on a RabbitMQ; what exists stays as it is.

  AMQP_URL=amqps://user:password@host:5671 npm run topology

AMQP_SECRET_ARN names a secret of AWS Secrets Manager with the user and password; then AMQP_URL has none.
API_QUEUE (api_queue) and WS_QUEUE (ws_queue) name the queues, REPLY_SHARDS (1) says how many there are for replies.`;

async function main(): Promise<void> {
  const [argument] = process.argv.slice(2);
  if (argument !== undefined) {
    console.log(help);
    process.exitCode = ['--help', '-h'].includes(argument) ? 0 : 2;
    return;
  }
  const { AMQP_SECRET_ARN } = readConfig(['AMQP_URL', 'AMQP_SECRET_ARN']);
  if (AMQP_SECRET_ARN !== undefined) await logInToAws();
  const { broker, queues } = openTopology();
  for (const [queue, result] of await declareQueues(broker, queues)) {
    console.log(
      result === 'declared' ? `${queue}: ready` : `${queue}: exists with arguments of its own, kept as it is`,
    );
  }
}

main().catch((error: unknown) => {
  console.error(`${reasonsOf(error)}\nSee: npm run topology -- --help`);
  process.exitCode = 1;
});
