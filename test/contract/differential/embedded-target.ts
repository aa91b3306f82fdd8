import { startBroker } from '../../../infra/local/broker/broker';
import type { Target } from './script';

/** The embedded broker as scenarios need it. */

export interface EmbeddedTarget extends Target {
  close(): Promise<void>;
}

export async function embeddedTarget(): Promise<EmbeddedTarget> {
  const broker = await startBroker({ port: 0, virtualHosts: ['/', 'second'] });
  return {
    url: broker.url,
    async setMemoryAlarm(on) {
      broker.setMemoryAlarm(on);
    },
    async closeConnections(virtualHost, reason) {
      for (const connection of broker.connections)
        if (connection.virtualHost.name === virtualHost) connection.close(reason);
    },
    close: () => broker.close(),
  };
}
