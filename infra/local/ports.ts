import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../lib/config';

/**
 * The ports that the local stack must have. serverless-offline ends the process without a word of advice when one of its
 * own is taken.
 */

/** @param ports by the variable that sets each. Throws ConfigError that names the variable to set. */
export async function refuseTakenPorts(ports: Record<string, number>, host: string): Promise<void> {
  if (new Set(Object.values(ports)).size < Object.keys(ports).length) {
    throw new ConfigError(`${Object.keys(ports).join(', ')} must be different ports.`);
  }
  for (const [variable, port] of Object.entries(ports)) {
    if (!(await isFree(port, host))) {
      throw new ConfigError(
        `Port ${port} is in use. Stop what listens there (an earlier npm start?), or choose another port: ` +
          `${variable}=${otherPort(port)} npm start`,
      );
    }
  }
}

const portsToTry = 100;

/** Listens on this port or, where it is taken, on the next free one. @param except ports that others will need. */
export async function onFreePort<T>(
  port: number,
  listen: (port: number) => Promise<T>,
  except: readonly number[] = [],
): Promise<T> {
  const last = Math.min(port + portsToTry, 65_535);
  for (let candidate = port; ; candidate += 1) {
    if (except.includes(candidate)) continue;
    try {
      return await listen(candidate);
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!taken || candidate >= last) throw error;
    }
  }
}

function otherPort(port: number): number {
  return port + 1000 > 65_535 ? port - 1000 : port + 1000;
}

export async function untilListening(port: number, host: string): Promise<void> {
  while (!(await accepts(port, host))) await sleep(50);
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

function accepts(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, host);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
