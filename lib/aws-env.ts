import { ConfigError } from './config';

/**
 * What AWS puts into the environment of a function, by the names that its SDKs read too. Credentials are there for the whole
 * life of the process. No profile and no metadata service is asked: what does so is four times the size of what calls AWS.
 */

export interface AwsCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of a role; absent with a user's keys. */
  sessionToken?: string;
}

/** Throws ConfigError that tells what is not set, and no value. */
export function credentialsFromEnv(env: Readonly<Record<string, string | undefined>> = process.env): AwsCredentials {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env;
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) {
    throw new ConfigError(
      'Configuration: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set, as Lambda sets them.',
    );
  }
  const sessionToken = AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {};
  return { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, ...sessionToken };
}

/** In the bundles this is what `@aws-sdk/credential-provider-node` exports: whom the SDK asks where it is given none. */
export const defaultProvider = () => async (): Promise<AwsCredentials> => credentialsFromEnv();

/** Throws ConfigError. */
export function regionFromEnv(): string {
  const { AWS_REGION } = process.env;
  if (!AWS_REGION) throw new ConfigError('Configuration: AWS_REGION must be set, as Lambda sets it.');
  return AWS_REGION;
}

/** Where a service is instead of at AWS; undefined on AWS. @param service as the SDKs spell it: `SECRETS_MANAGER`. */
export function endpointFromEnv(service: string): string | undefined {
  return process.env[`AWS_ENDPOINT_URL_${service}`] || process.env.AWS_ENDPOINT_URL || undefined;
}

/** Of the event that is being handled: from `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=...`. */
export function traceIdFromEnv(): string | undefined {
  return /Root=([^;]+)/.exec(process.env._X_AMZN_TRACE_ID ?? '')?.[1];
}

/** TRACE, DEBUG, INFO, WARN, ERROR or FATAL, where the function has log controls. */
export function logLevelFromEnv(): string | undefined {
  return process.env.AWS_LAMBDA_LOG_LEVEL;
}
