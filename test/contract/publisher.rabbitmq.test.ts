import { startRabbitmqNode } from '../helpers/rabbitmq-node';
import { describePublisher } from './publisher.suite';

/** On nodes of its own: an alarm or a limit would strike whoever else is there. */
describePublisher('RabbitMQ', async ({ maxMessageBytes } = {}) => {
  const { url, ctl, close } = await startRabbitmqNode();
  if (maxMessageBytes !== undefined) {
    await ctl('eval', `application:set_env(rabbit, max_message_size, ${maxMessageBytes}).`);
  }
  return {
    url,
    setMemoryAlarm: (on) => ctl('set_vm_memory_high_watermark', ...(on ? ['0.0001'] : ['absolute', '1GB'])),
    close,
  };
});
