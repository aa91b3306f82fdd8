import { startBroker } from '../../../infra/local/broker/broker';

/** The embedded broker as a process of its own; says where it listens, and ends with its parent. */

process.on('disconnect', () => process.exit());
startBroker({ port: 0 }).then(({ url }) => process.send?.(url));
