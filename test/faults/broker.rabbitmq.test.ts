import { afterAll, beforeAll } from '@jest/globals';
import { type RabbitmqNode, startRabbitmqNode } from '../helpers/rabbitmq-node';
import {
  type DurableBroker,
  describeBrokerFaults,
  describeRestartFaults,
  gateway,
  maxMessageBytes,
} from './broker.suite';

let node: RabbitmqNode;

beforeAll(async () => {
  node = await startRabbitmqNode();
  await node.ctl('add_user', gateway.username, gateway.password);
  await node.ctl('set_permissions', gateway.username, '.*', '.*', '.*');
  await limitMessages();
}, 90_000);
afterAll(() => node?.close());

const limitMessages = () => node.ctl('eval', `application:set_env(rabbit, max_message_size, ${maxMessageBytes}).`);

const broker: DurableBroker = {
  name: 'RabbitMQ',
  url: () => node.url,
  kill: () => node.kill(),
  async start() {
    await node.start();
    await limitMessages();
  },
  pause: () => node.ctl('stop_app'),
  resume: () => node.ctl('start_app'),
  closeAllConnections: () => node.ctl('close_all_connections', 'maintenance'),
  setMemoryAlarm: (on) => node.ctl('set_vm_memory_high_watermark', ...(on ? ['0.0000001'] : ['absolute', '1GB'])),
  setPassword: (password) => node.ctl('change_password', gateway.username, password),
};
describeBrokerFaults(broker);
describeRestartFaults(broker);
