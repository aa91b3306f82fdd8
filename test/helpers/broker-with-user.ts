import { startBroker } from '../../infra/local/broker/broker';
import { rabbitmqctl, rabbitmqUrl } from './rabbitmq';

/** A broker on which a test has a user of its own, whose password it changes. */
export interface BrokerWithUser {
  /** With credentials that never change. */
  url: string;
  /** Of the user, who may do anything. */
  setPassword(password: string): Promise<void>;
  close(): Promise<void>;
}

export async function embeddedWithUser(user: string): Promise<BrokerWithUser> {
  const users: Record<string, string> = { guest: 'guest' };
  const { url, close } = await startBroker({ port: 0, users });
  return {
    url,
    setPassword: async (password) => {
      users[user] = password;
    },
    close,
  };
}

export async function rabbitmqWithUser(user: string): Promise<BrokerWithUser> {
  await rabbitmqctl('add_user', user, 'none');
  await rabbitmqctl('set_permissions', user, '.*', '.*', '.*');
  return {
    url: rabbitmqUrl(),
    setPassword: (password) => rabbitmqctl('change_password', user, password),
    close: () => rabbitmqctl('delete_user', user),
  };
}
