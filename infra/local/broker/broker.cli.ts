import { parseArgs } from 'node:util';
import { reasonOf } from '../../../lib/reason';
import { type Broker, type BrokerOptions, startBroker } from './broker';

/** `npm run broker`: the embedded broker as a process of its own, until Ctrl-C. */
const help = `Starts the embedded broker: RabbitMQ's AMQP 0-9-1, in memory, for development and tests.

  npm run broker -- --port 5673 --user me:secret --vhost / --vhost orders

  --port PORT             5672; 0 is any free one
  --host ADDRESS          127.0.0.1
  --user NAME:PASSWORD    guest:guest; may be given several times
  --vhost NAME            /; may be given several times
  --memory-mib MIB        512: what messages may take before publishers are blocked
  --heartbeat SECONDS     60; 0 is off
  --help                  this

Prints one line with its URL once it accepts connections.`;

const MIB = 1024 * 1024;

/** What the user can mend: told in one line, without a stack. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { help: asked, ...options } = parsed(process.argv.slice(2));
  if (asked) {
    console.log(help);
    return;
  }
  const broker = await started(options);
  console.log(`The embedded broker is ready: ${broker.url}`);
  const end = () => void broker.close().then(() => process.exit(0));
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}

function parsed(args: string[]): BrokerOptions & { help: boolean } {
  const text = { type: 'string' } as const;
  const texts = { type: 'string', multiple: true } as const;
  const { values } = valid(() =>
    parseArgs({
      args,
      options: {
        port: text,
        host: text,
        user: texts,
        vhost: texts,
        'memory-mib': text,
        heartbeat: text,
        help: { type: 'boolean', short: 'h' },
      },
    }),
  );
  return {
    help: values.help ?? false,
    ...(values.port !== undefined && { port: whole('--port', values.port, 0, 65_535) }),
    ...(values.host !== undefined && { host: values.host }),
    ...(values.user !== undefined && { users: users(values.user) }),
    ...(values.vhost !== undefined && { virtualHosts: virtualHosts(values.vhost) }),
    ...(values['memory-mib'] !== undefined && {
      memoryHighWaterBytes: whole('--memory-mib', values['memory-mib'], 1, 1024 * 1024) * MIB,
    }),
    ...(values.heartbeat !== undefined && { heartbeatSeconds: whole('--heartbeat', values.heartbeat, 0, 65_535) }),
  };
}

function valid<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Node's advice about positional arguments fills lines and does not fit.
    throw new UsageError(reasonOf(error).split(/\. |\n/)[0]);
  }
}

function whole(option: string, value: string, least: number, most: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`${option} must be a whole number from ${least} to ${most}, not '${value}'`);
}

function users(given: string[]): Record<string, string> {
  const all = given.map(credentials);
  const names = new Set(all.map(([name]) => name));
  if (names.size < all.length) throw new UsageError('--user names the same user twice');
  return Object.fromEntries(all);
}

function virtualHosts(names: string[]): string[] {
  if (names.includes('')) throw new UsageError('--vhost needs a name');
  return names;
}

function credentials(user: string): [name: string, password: string] {
  const colon = user.indexOf(':');
  if (colon > 0) return [user.slice(0, colon), user.slice(colon + 1)];
  throw new UsageError(`--user must be of the form name:password, not '${user}'`);
}

async function started(options: BrokerOptions): Promise<Broker> {
  const { port = 5672, host = '127.0.0.1' } = options;
  try {
    return await startBroker(options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      const other = port < 65_535 ? port + 1 : port - 1;
      throw new UsageError(`port ${port} is taken: stop what listens there, or choose another, as --port ${other}`);
    }
    if (code === 'EACCES') throw new UsageError(`port ${port} is not for everybody: choose one above 1023`);
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
      throw new UsageError(`--host '${host}' is no address of this machine: choose one that is, as 127.0.0.1`);
    }
    throw error;
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof UsageError ? `${error.message} (npm run broker -- --help)` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
