import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { connect } from 'amqplib';

/** The real RabbitMQ of a `*.rabbitmq.test.ts`; such a suite is left out of the run where there is none. */
export function rabbitmqUrl(): string {
  const url = process.env.TEST_AMQP_URL;
  if (!url) throw new Error('Set TEST_AMQP_URL to a RabbitMQ, or run: .ci/with-rabbitmq npx jest <file>');
  return url;
}

export async function rabbitmqVersion(): Promise<string> {
  const connection = await connect(rabbitmqUrl());
  const { version } = connection.connection.serverProperties;
  await connection.close();
  return version;
}

/** Runs rabbitmqctl on the node that .ci/with-rabbitmq started. */
export async function rabbitmqctl(...args: string[]): Promise<void> {
  await runRabbitmqctl(process.env, args);
}

/** @param nodeEnv as .ci/with-rabbitmq gives it to its command */
export async function runRabbitmqctl(nodeEnv: NodeJS.ProcessEnv, args: readonly string[]): Promise<void> {
  const { TEST_RABBITMQ_HOME: HOME, ...env } = nodeEnv;
  if (!HOME) throw new Error('This test operates the node itself: run it by .ci/with-rabbitmq npx jest <file>');
  await promisify(execFile)('rabbitmqctl', args, { env: { ...env, HOME } });
}
