import { rabbitmqctl, rabbitmqUrl } from '../helpers/rabbitmq';
import { describeTopology } from './topology.suite';

describeTopology('RabbitMQ', async (user) => {
  await rabbitmqctl('add_user', user, 'none');
  await rabbitmqctl('set_permissions', user, '.*', '.*', '.*');
  return {
    url: rabbitmqUrl(),
    setPassword: (password) => rabbitmqctl('change_password', user, password),
    close: () => rabbitmqctl('delete_user', user),
  };
});
