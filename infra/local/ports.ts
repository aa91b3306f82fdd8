import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '../../lib/config';
import type { OfflineOptions } from './serverless';

/** Ports of serverless-offline, which ends the process without a word of advice when one is taken. */

/** Throws ConfigError that names the variable to set. */
export async function refuseTakenPorts({ host, websocketPort, lambdaPort }: Required<OfflineOptions>): Promise<void> {
  if (Number(websocketPort) === Number(lambdaPort)) {
    throw new ConfigError('WEBSOCKET_PORT and LAMBDA_PORT must be different ports.');
  }
  for (const [variable, port] of Object.entries({ WEBSOCKET_PORT: websocketPort, LAMBDA_PORT: lambdaPort })) {
    if (!(await isFree(Number(port), host))) {
      throw new ConfigError(
        `Port ${port} is in use. Stop what listens there (an earlier npm start?), or choose another port: ` +
          `${variable}=${otherPort(Number(port))} npm start`,
      );
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
