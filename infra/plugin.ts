import { ConfigError, readConfig } from '../lib/config';
import { buildFunctions } from './build';
import type { OfflineOptions, Serverless, ServerlessLog } from './local/serverless';

/**
 * The serverless plugin of this project: bundles the functions before they are packaged, refuses to deploy with the
 * example broker, and runs all that stands in for AWS beside serverless-offline.
 */
export default class GatewayPlugin {
  readonly #serverless: Serverless;
  readonly #options: OfflineOptions;
  readonly #log: ServerlessLog;
  #started: Promise<void> | undefined;
  readonly hooks: Record<string, () => Promise<void> | void>;

  constructor(serverless: Serverless, options: OfflineOptions, { log }: { log: ServerlessLog }) {
    this.#serverless = serverless;
    this.#options = options;
    this.#log = log;
    const bundle = () => this.#bundle();
    // `sls offline` fires only the first of the last two, `sls offline start` only the second.
    this.hooks = {
      'before:package:createDeploymentArtifacts': bundle,
      'before:deploy:function:packageFunction': bundle,
      'before:invoke:local:invoke': bundle,
      'before:deploy:deploy': () => this.#refuseExampleBroker(),
      'before:offline:start': () => this.#start(),
      'before:offline:start:init': () => this.#start(),
    };
  }

  async #bundle(): Promise<void> {
    try {
      readConfig(['API_QUEUE', 'WS_QUEUE', 'REQUEST_STYLE', 'LOG_LEVEL']);
    } catch (error) {
      this.#fail(error);
    }
    await buildFunctions(this.#serverless.serviceDir, { minify: true });
  }

  #refuseExampleBroker(): void {
    const { resources, functions } = this.#serverless.service;
    const deployed = JSON.stringify([resources, functions]);
    if (!['broker:example:', 'secret:example-', 'b-1234a5b6-'].some((part) => deployed.includes(part))) return;
    throw new this.#serverless.classes.Error(
      'Deploying needs a broker: pass --param="brokerArn=..." --param="brokerSecretArn=..." and ' +
        '--param="brokerHost=..." (README.md, "Deploy").',
    );
  }

  #start(): Promise<void> {
    this.#started ??= this.#startStack();
    return this.#started;
  }

  async #startStack(): Promise<void> {
    // Loaded only here: packaging needs neither a broker nor a database.
    const { startStack } = await import('./local/stack');
    await startStack(this.#serverless, this.#options, this.#log).catch((error) => this.#fail(error));
  }

  /** The framework prints its own errors without a stack: what the user can mend needs none. */
  #fail(error: unknown): never {
    throw error instanceof ConfigError ? new this.#serverless.classes.Error(error.message) : error;
  }
}
