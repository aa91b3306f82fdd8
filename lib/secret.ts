import type { SecretsManagerClient, SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';

/** Reads the text of a secret of AWS Secrets Manager, each time anew, within a bounded time. */
export type ReadSecret = () => Promise<string>;

const attemptMs = 1000;
/** For all attempts together, bodies of answers included. */
const fetchMs = 3000;

/** It rejects with the SDK's error, in which nothing of the secret stands. */
export function secretReader(secretArn: string, clientConfig: SecretsManagerClientConfig = {}): ReadSecret {
  // Loaded only where there is a secret; and while the function starts, when Lambda gives it more CPU than for an event.
  const loading = import('@aws-sdk/client-secrets-manager');
  let client: SecretsManagerClient | undefined;

  return async () => {
    const { GetSecretValueCommand, SecretsManagerClient } = await loading;
    client ??= new SecretsManagerClient({
      // An operator's machine may know of no region, or of another.
      region: secretArn.split(':')[3] as string,
      maxAttempts: 2,
      requestHandler: { connectionTimeout: attemptMs, requestTimeout: attemptMs, throwOnRequestTimeout: true },
      ...clientConfig,
    });
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretArn }), {
      abortSignal: AbortSignal.timeout(fetchMs),
    });
    return SecretString ?? '';
  };
}

/** No such secret, or not for this function; unlike a service that is busy, failing or out of reach. */
export function isRefusal(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return isRefusalStatus($metadata?.httpStatusCode ?? 0) && name !== 'ThrottlingException';
}

/** The same, of an answer by HTTP: 408 and 429 are those that may pass by themselves. */
export function isRefusalStatus(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
