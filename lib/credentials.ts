import type { AwsClientConfig } from './aws-json';
import { isObject, parseJson } from './json';
import { isRefusal, secretReader } from './secret';

/**
 * Who the gateway is to the broker: from the URL, or from a secret of AWS Secrets Manager, which is fetched when it is
 * first needed and again when the broker refuses what it said. What is in it appears in no error and no log.
 */

export interface Login {
  username: string;
  password: string;
}

export interface Credentials {
  /** Rejects with LoginError where there is none to be had, with another error where there may be one a moment later. */
  current(): Promise<Login>;
  /** Another one than the one that the broker has refused; undefined where there is none for now. */
  renewed(refused: Login): Promise<Login | undefined>;
}

/** The gateway cannot log in, and no repetition mends it: the secret cannot be read, or the broker refuses it. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
}

/** A broker, and who the gateway is to it. */
export interface Broker {
  /** Its username and password are not read: see `credentials`. */
  url: string;
  credentials: Credentials;
}

/** With the secret where there is one, else with what stands in the URL. */
export function brokerAt(url: string, secretArn?: string): Broker {
  return { url, credentials: secretArn === undefined ? urlCredentials(url) : secretCredentials(secretArn) };
}

/** What stands in the URL, or else guest, as AMQP clients have it. */
export function urlCredentials(url: string): Credentials {
  const { username, password } = new URL(url);
  const login =
    username || password
      ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
      : { username: 'guest', password: 'guest' };
  return { current: async () => login, renewed: async () => undefined };
}

/** A broker that goes on refusing makes the gateway fetch the secret once in this time, not for each message. */
const renewalMs = 5000;

/** @param secretArn of a secret of the form `{"username": "...", "password": "..."}`. */
export function secretCredentials(secretArn: string, config: AwsClientConfig = {}): Credentials {
  const readSecret = secretReader(secretArn, config);
  let login: Login | undefined;
  let renewedAt = 0;
  let fetching: Promise<Login> | undefined;

  const fetch = async (): Promise<Login> => {
    const secret = parseJson(await readSecret());
    if (!isObject(secret) || typeof secret.username !== 'string' || typeof secret.password !== 'string') {
      throw new LoginError('The secret is not of the form {"username": "...", "password": "..."}.');
    }
    return { username: secret.username, password: secret.password };
  };

  /** Once, however many wait for it. */
  const fetchOnce = (): Promise<Login> => {
    fetching ??= fetch()
      .then((fetched) => {
        login = fetched;
        return fetched;
      })
      .catch((cause: unknown) => {
        if (cause instanceof LoginError) throw cause;
        const message = 'The secret with the credentials of the broker cannot be read.';
        throw isRefusal(cause) ? new LoginError(message, { cause }) : new Error(message, { cause });
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  };

  return {
    current: async () => login ?? fetchOnce(),
    async renewed(refused) {
      if (login === refused) {
        if (Date.now() - renewedAt < renewalMs) return undefined;
        renewedAt = Date.now();
        await fetchOnce();
      }
      const { username, password } = login as Login;
      return username === refused.username && password === refused.password ? undefined : login;
    },
  };
}
