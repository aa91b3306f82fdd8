import { rabbitmqctl, rabbitmqUrl } from '../helpers/rabbitmq';
import { describeCredentials } from './credentials.suite';

describeCredentials('RabbitMQ', async (user) => {
  await rabbitmqctl('add_user', user, 'none');
  await rabbitmqctl('set_permissions', user, '.*', '.*', '.*');
  return {
    url: rabbitmqUrl(),
    setPassword: (password) => rabbitmqctl('change_password', user, password),
    close: () => rabbitmqctl('delete_user', user),
  };
});
