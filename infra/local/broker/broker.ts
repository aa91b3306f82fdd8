import { type AddressInfo, createServer } from 'node:net';
import { Connection, type ConnectionOptions } from './connection';
import { Memory } from './memory';
import { VirtualHost } from './virtual-host';

/**
 * The embedded broker: AMQP 0-9-1 as a single RabbitMQ node speaks it, in memory and in this process.
 * Everything declared durable is kept for as long as the broker runs, and gone after.
 */

export interface BrokerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 5672; 0 is any free one. */
  port?: number;
  /** Passwords by user name. Default guest/guest. */
  users?: Record<string, string>;
  /** Default `/`. There are no permissions: every user may use each. */
  virtualHosts?: readonly string[];
  /** Proposed to clients, which may lower it or turn it off with 0. Default 60. */
  heartbeatSeconds?: number;
  /** Default 128 KiB, as RabbitMQ's; at least 4096. */
  maxFrameBytes?: number;
  /** Per connection. Default 2047; at least 1. */
  maxChannels?: number;
  /** Default 128 MiB, and no more than the memory's high water mark: a message above that could never be received. */
  maxMessageBytes?: number;
  /**
   * What messages may take before publishers are blocked. Default 512 MiB: several messages of the largest size, and
   * far from what makes a laptop or the process around the broker suffer.
   */
  memoryHighWaterBytes?: number;
}

/** An open connection as a test sees it, which can make it fail. */
export interface BrokerConnection {
  /** The client's own `connection_name`, or else its `host:port`. */
  readonly name: string;
  readonly virtualHost: { readonly name: string };
  /** Tells the client to go, by a connection.close 320 with this reason. */
  close(reason?: string): void;
  /**
   * As when the network is cut: the broker forgets the connection at once, and its client hears nothing of that or
   * of anything more, neither FIN nor RST. The socket stays until the broker closes.
   */
  drop(): void;
  /** The broker reads nothing more from this client, and goes on sending to it. */
  pauseReads(): void;
  resumeReads(): void;
}

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** With the credentials of a user, and the first virtual host. */
  readonly url: string;
  /** Those that are open now. */
  readonly connections: readonly BrokerConnection[];
  /** What messages take, as counted against the high water mark. */
  readonly heldBytes: number;
  /** Every client gets a connection.close 320 with this reason. */
  closeAllConnections(reason?: string): void;
  /** Blocks publishers as if memory were short, until it is set off. */
  setMemoryAlarm(on: boolean): void;
  /** Stops listening and ends every connection and timer. */
  close(): Promise<void>;
}

// Clients that are told to go answer at once; one that does not is not waited for.
const CLOSE_GRACE_MS = 200;

/**
 * @throws (rejects) with `code` EADDRINUSE when the port is taken; RangeError for a limit that shuts every client
 * out
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { host = '127.0.0.1', port = 5672, users = { guest: 'guest' } } = options;
  const { virtualHosts = ['/'], memoryHighWaterBytes = 512 * 1024 * 1024 } = options;
  const memory = new Memory(memoryHighWaterBytes);
  const hosts = new Map(virtualHosts.map((name) => [name, new VirtualHost(name, memory)]));
  const connections = new Set<Connection>();
  const connectionOptions: ConnectionOptions = {
    users,
    heartbeatSeconds: options.heartbeatSeconds ?? 60,
    maxFrameBytes: atLeast(4096, options.maxFrameBytes ?? 128 * 1024),
    maxChannels: atLeast(1, options.maxChannels ?? 2047),
    maxMessageBytes: Math.min(options.maxMessageBytes ?? 128 * 1024 * 1024, memoryHighWaterBytes),
    memory,
    findVirtualHost: (name) => hosts.get(name),
  };

  // Half open, because the end of a client's stream is answered as RabbitMQ does: by a reset.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection = new Connection(socket, connectionOptions);
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  // A connection that cannot be accepted must not end the process.
  server.on('error', () => undefined);

  const boundPort = (server.address() as AddressInfo).port;
  const closeAllConnections = (reason?: string) => {
    for (const connection of connections) connection.close(reason);
  };
  const [user = 'guest', password = ''] = Object.entries(users)[0] ?? [];
  const [virtualHost = '/'] = virtualHosts;
  const path = virtualHost === '/' ? '' : `/${encodeURIComponent(virtualHost)}`;
  return {
    host,
    port: boundPort,
    url: `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${reachable(host)}:${boundPort}${path}`,
    get connections() {
      return [...connections].filter((connection) => connection.isOpen);
    },
    get heldBytes() {
      return memory.heldBytes;
    },
    closeAllConnections,
    setMemoryAlarm: (on) => memory.force(on),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closeAllConnections("broker forced connection closure with reason 'shutdown'");
      const impatience = setTimeout(() => {
        for (const connection of connections) connection.hangUp();
      }, CLOSE_GRACE_MS);
      await closed;
      clearTimeout(impatience);
      for (const each of hosts.values()) each.close();
    },
  };
}

/** Below the least value no client could connect. */
function atLeast(least: number, value: number): number {
  if (value < least) throw new RangeError(`${value} is too few: at least ${least}`);
  return value;
}

/** The address as it stands in a URL; of one that means every address, the one of this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
