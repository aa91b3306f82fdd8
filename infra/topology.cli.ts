import { readConfig } from '../lib/config';
import { reasonOf } from '../lib/reason';
import { declareQueues } from './declare';
import { topology } from './topology';

/** `npm run topology`: declares the gateway's queues on the broker of AMQP_URL; run again, it changes nothing. */
const help = `Declares the gateway's queues on a RabbitMQ; what exists stays as it is.

  AMQP_URL=amqps://user:password@host:5671 npm run topology

API_QUEUE (api_queue) and WS_QUEUE (ws_queue) name the queues.`;

async function main(): Promise<void> {
  const [argument] = process.argv.slice(2);
  if (argument !== undefined) {
    console.log(help);
    process.exitCode = ['--help', '-h'].includes(argument) ? 0 : 2;
    return;
  }
  const { AMQP_URL, API_QUEUE, WS_QUEUE } = readConfig(['AMQP_URL', 'API_QUEUE', 'WS_QUEUE']);
  const declared = await declareQueues(AMQP_URL, topology({ apiQueue: API_QUEUE, wsQueue: WS_QUEUE }));
  for (const [queue, result] of declared) {
    console.log(
      result === 'declared' ? `${queue}: ready` : `${queue}: exists with arguments of its own, kept as it is`,
    );
  }
}

main().catch((error: unknown) => {
  console.error(`${reasonOf(error)}\nSee: npm run topology -- --help`);
  process.exitCode = 1;
});
