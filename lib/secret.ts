import type { GetSecretValueRequest, GetSecretValueResponse } from '@aws-sdk/client-secrets-manager';
import { type AwsClient, type AwsClientConfig, AwsError, type AwsService, awsClient } from './aws-json';

/** Reads the text of a secret of AWS Secrets Manager, each time anew, within a bounded time. */
export type ReadSecret = () => Promise<string>;

const secretsManager: AwsService = {
  name: 'secretsmanager',
  target: 'secretsmanager',
  jsonVersion: '1.1',
  variable: 'SECRETS_MANAGER',
  attempts: 2,
  headMs: 1000,
};

/** For all attempts together, bodies of answers included. */
const fetchMs = 3000;

/** It rejects with an error in which nothing of the secret stands. */
export function secretReader(secretArn: string, config: AwsClientConfig = {}): ReadSecret {
  // An operator's machine may know of no region, or of another.
  const region = secretArn.split(':')[3] as string;
  const client: AwsClient<{ GetSecretValue: [GetSecretValueRequest, GetSecretValueResponse] }> = awsClient(
    secretsManager,
    { region, ...config },
  );
  return async () => {
    const { SecretString } = await client.send('GetSecretValue', { SecretId: secretArn }, AbortSignal.timeout(fetchMs));
    return SecretString ?? '';
  };
}

/** No such secret, or not for this function; unlike a service that is busy, failing or out of reach. */
export function isRefusal(error: unknown): boolean {
  return error instanceof AwsError && isRefusalStatus(error.status) && error.name !== 'ThrottlingException';
}

/** The same, of an answer by HTTP: 408 and 429 are those that may pass by themselves. */
export function isRefusalStatus(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
