import { type AddressInfo, createServer } from 'node:net';
import { Connection, type ConnectionOptions } from './connection';
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
  /** Proposed to clients, which may lower it or turn it off with 0. Default 60. */
  heartbeatSeconds?: number;
  /** Default 128 KiB, as RabbitMQ's. */
  maxFrameBytes?: number;
  /** Per connection. Default 2047. */
  maxChannels?: number;
  /** Default 128 MiB. */
  maxMessageBytes?: number;
}

export interface Broker {
  readonly host: string;
  readonly port: number;
  /** With the credentials of the first user. */
  readonly url: string;
  /** Every client gets a connection.close 320 with this reason. */
  closeAllConnections(reason?: string): void;
  /** Stops listening and ends every connection and timer. */
  close(): Promise<void>;
}

// Clients that are told to go answer at once; one that does not is not waited for.
const CLOSE_GRACE_MS = 200;

/** @throws (rejects) with `code` EADDRINUSE when the port is taken */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const { host = '127.0.0.1', port = 5672, users = { guest: 'guest' } } = options;
  const virtualHost = new VirtualHost('/');
  const connections = new Set<Connection>();
  const connectionOptions: ConnectionOptions = {
    users,
    heartbeatSeconds: options.heartbeatSeconds ?? 60,
    maxFrameBytes: options.maxFrameBytes ?? 128 * 1024,
    maxChannels: options.maxChannels ?? 2047,
    maxMessageBytes: options.maxMessageBytes ?? 128 * 1024 * 1024,
    findVirtualHost: (name) => (name === virtualHost.name ? virtualHost : undefined),
  };

  const server = createServer((socket) => {
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
  const closeAllConnections = (reason = 'closed by the operator') => {
    for (const connection of connections) connection.force(reason);
  };
  const [user = 'guest', password = ''] = Object.entries(users)[0] ?? [];
  return {
    host,
    port: boundPort,
    url: `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${boundPort}`,
    closeAllConnections,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closeAllConnections("broker forced connection closure with reason 'shutdown'");
      const impatience = setTimeout(() => {
        for (const connection of connections) connection.destroy();
      }, CLOSE_GRACE_MS);
      await closed;
      clearTimeout(impatience);
      virtualHost.close();
    },
  };
}
