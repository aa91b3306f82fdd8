import type { Resources } from '../aws/intrinsics';
import type { Template } from '../aws/template';
import type { ServiceConfiguration } from './event-source/specs';

/** The parts of the framework that the plugin and the local stack use; it has no types of its own. */
export interface Serverless {
  /** Absolute path of the folder of serverless.yml. */
  serviceDir: string;
  service: Service;
  /** `['offline', 'start']` of `sls offline start`. */
  processedInput: { commands: string[] };
  /** serverless.yml; `params` by stage. */
  configurationInput: { params?: Record<string, Record<string, unknown> | undefined> };
  getProvider(name: 'aws'): {
    naming: { getLambdaLogicalId(functionKey: string): string };
    getStage(): string;
    getRegion(): string;
  };
  classes: { Error: new (message: string) => Error };
}

export interface Service extends ServiceConfiguration {
  service: string;
  functions: Record<string, FunctionDefinition>;
  resources?: { Resources?: Resources; Outputs?: Template['Outputs']; extensions?: Template['extensions'] };
  provider: { environment?: Environment; timeout?: number; websocketsApiRouteSelectionExpression?: string };
  custom?: { 'serverless-offline'?: OfflineOptions; gateway?: Record<string, unknown> };
}

type Environment = Record<string, unknown>;

type MappedFunction = ServiceConfiguration['functions'][string];

export interface FunctionDefinition extends MappedFunction {
  handler: string;
  name: string;
  /** Seconds. */
  timeout?: number;
  memorySize?: number;
  environment?: Environment;
  events?: (NonNullable<MappedFunction['events']>[number] & { websocket?: WebSocketRoute })[];
}

export interface WebSocketRoute {
  route: string;
  authorizer?: { name: string; identitySource: string[] };
}

/** Options of serverless-offline that matter here; from the command line they are texts. */
export interface OfflineOptions {
  host?: string;
  websocketPort?: number | string;
  lambdaPort?: number | string;
  /** Seconds after which a connection is closed with 1001: of its life, and of silence in both directions. */
  webSocketHardTimeout?: number | string;
  webSocketIdleTimeout?: number | string;
}

/** All that the command line may set. */
export interface CommandOptions extends OfflineOptions {
  /** `name=value` */
  param?: string | string[];
}

/** The framework's logger. */
export interface ServerlessLog {
  notice(message?: string): void;
  warning(message: string): void;
  error(message: string): void;
}
