import type { ServiceConfiguration } from './event-source/specs';

/** The parts of the framework that the local stack reads; it has no types of its own. */
export interface Serverless {
  /** Absolute path of the folder of serverless.yml. */
  serviceDir: string;
  service: Service;
  getProvider(name: 'aws'): { naming: { getLambdaLogicalId(functionKey: string): string } };
  classes: { Error: new (message: string) => Error };
}

export interface Service extends ServiceConfiguration {
  functions: Record<string, FunctionDefinition>;
  provider: { environment?: Environment; websocketsApiRouteSelectionExpression?: string };
  custom?: { 'serverless-offline'?: OfflineOptions };
}

type Environment = Record<string, unknown>;

export type FunctionDefinition = ServiceConfiguration['functions'][string] & {
  handler: string;
  name: string;
  environment?: Environment;
};

/** Options of serverless-offline that matter here; from the command line they are texts. */
export interface OfflineOptions {
  host?: string;
  websocketPort?: number | string;
  lambdaPort?: number | string;
}

/** The framework's logger. */
export interface ServerlessLog {
  notice(message?: string): void;
  warning(message: string): void;
  error(message: string): void;
}
