import { ConfigError, readConfig } from '../lib/config';
import { gatewayTemplate } from './aws/template';
import { buildFunctions } from './build';
import type { CommandOptions, Serverless, ServerlessLog } from './local/serverless';
import { type Parameters, readParameters } from './parameters';

/**
 * The serverless plugin of this project: adds to the service all that infra/aws makes of the parameters, bundles the
 * functions before they are packaged, and runs what stands in for AWS beside serverless-offline.
 */
export default class GatewayPlugin {
  readonly #serverless: Serverless;
  readonly #options: CommandOptions;
  readonly #log: ServerlessLog;
  #started: Promise<void> | undefined;
  readonly hooks: Record<string, () => Promise<void> | void>;

  constructor(serverless: Serverless, options: CommandOptions, { log }: { log: ServerlessLog }) {
    this.#serverless = serverless;
    this.#options = options;
    this.#log = log;
    const bundle = () => this.#bundle();
    // `sls offline` fires only the first of the last two, `sls offline start` only the second.
    this.hooks = {
      initialize: () => this.#addResources(),
      'before:package:createDeploymentArtifacts': bundle,
      'before:deploy:function:packageFunction': bundle,
      'before:invoke:local:invoke': bundle,
      'before:offline:start': () => this.#start(),
      'before:offline:start:init': () => this.#start(),
    };
  }

  #addResources(): void {
    const { service, processedInput } = this.#serverless;
    try {
      const parameters = this.#parameters(processedInput.commands[0] === 'offline');
      const { functions, Resources, Outputs, extensions } = gatewayTemplate(parameters);
      for (const [key, definition] of Object.entries(service.functions)) {
        const settings = functions[key];
        if (settings === undefined) delete service.functions[key];
        else Object.assign(definition, settings);
      }
      const onConnect = service.functions.connect?.events?.find(({ websocket }) => websocket?.route === '$connect');
      // Without an identity source API Gateway asks the authorizer even where a client has brought nothing.
      if (functions.authorizer && onConnect?.websocket) {
        onConnect.websocket.authorizer = { name: 'authorizer', identitySource: [] };
      }
      // What serverless.yml has of its own stays.
      const own = service.resources ?? {};
      service.resources = {
        ...own,
        Resources: { ...own.Resources, ...Resources },
        Outputs: { ...own.Outputs, ...Outputs },
        extensions: { ...own.extensions, ...extensions },
      };
    } catch (error) {
      this.#fail(error);
    }
  }

  #parameters(onLaptop: boolean): Parameters {
    const { service, configurationInput } = this.#serverless;
    const aws = this.#serverless.getProvider('aws');
    const stage = aws.getStage();
    const { default: ofAll = {}, [stage]: ofStage = {} } = configurationInput.params ?? {};
    const ofCommand = [this.#options.param ?? []].flat().map((item) => item.split('=', 1)[0] ?? '');
    return readParameters(service.custom?.gateway ?? {}, {
      service: service.service,
      stage,
      region: aws.getRegion(),
      named: [...Object.keys(ofAll), ...Object.keys(ofStage), ...ofCommand],
      laptop: onLaptop ? process.env : undefined,
    });
  }

  async #bundle(): Promise<void> {
    try {
      readConfig(['LOG_LEVEL']);
    } catch (error) {
      this.#fail(error);
    }
    await buildFunctions(this.#serverless.serviceDir);
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
