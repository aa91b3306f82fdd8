import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Context } from 'aws-lambda';
import type { FunctionDefinition, Serverless, ServerlessLog } from './serverless';

/**
 * Runs the functions in this process, with the context of Lambda and its timeout; for serverless-offline too. Its own runner
 * costs more than what it runs: for each event it looks for the handler on the disk, reads package.json, writes the whole
 * environment anew, prints a line, and keeps the event until the timeout would be over.
 */

/** Resolves with what the function returns; rejects when it throws or runs out of time. */
export type Invoke = (functionKey: string, event: unknown) => Promise<unknown>;

type Handler = (event: unknown, context: LambdaContext) => Promise<unknown>;

/** Without what is left of Node 0.10. */
type LambdaContext = Omit<Context, 'done' | 'fail' | 'succeed'>;

/** The exported part of serverless-offline, which has no types. */
interface LambdaClass {
  prototype: { get(functionKey: string): Invocation };
}

/** What serverless-offline asks for, once for each event. */
interface Invocation {
  setEvent(event: unknown): void;
  setClientContext(): void;
  runHandler(): Promise<unknown>;
}

/** AWS's, as serverless-offline has it. */
const defaultTimeoutSeconds = 6;

export function functionRunner(serverless: Serverless, log: ServerlessLog): Invoke {
  const { service } = serverless;
  const load = createRequire(join(serverless.serviceDir, 'package.json'));
  const region = serverless.getProvider('aws').getRegion();
  const files = new Map<string, string>();

  const handlerOf = ({ handler, environment }: FunctionDefinition): Handler => {
    const dot = handler.lastIndexOf('.');
    const name = handler.slice(0, dot);
    const file = files.get(name) ?? load.resolve(`./${name}`);
    files.set(name, file);
    const loaded = load.cache[file];
    if (loaded?.loaded) return loaded.exports[handler.slice(dot + 1)];
    // One process has one environment. What a function reads of its own it reads while it is loaded.
    const ofAws = { AWS_REGION: region, AWS_DEFAULT_REGION: region, IS_OFFLINE: 'true' };
    Object.assign(process.env, ofAws, service.provider.environment, environment);
    return load(file)[handler.slice(dot + 1)];
  };

  return async (functionKey, event) => {
    const definition = service.functions[functionKey] as FunctionDefinition;
    const timeoutMs = (definition.timeout ?? service.provider.timeout ?? defaultTimeoutSeconds) * 1000;
    let timer: NodeJS.Timeout | undefined;
    const timingOut = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Timed out after ${timeoutMs / 1000} s`)), timeoutMs);
    });
    try {
      return await Promise.race([handlerOf(definition)(event, contextOf(definition, timeoutMs)), timingOut]);
    } catch (error) {
      log.error(`Unhandled exception in handler '${functionKey}'. ${error instanceof Error ? error.stack : error}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Makes serverless-offline run its functions so: each event asks this one method who runs it. */
export async function runFunctionsOf(invoke: Invoke): Promise<void> {
  // @ts-expect-error: no types
  const { default: Lambda }: { default: LambdaClass } = await import('serverless-offline/lambda');
  Lambda.prototype.get = (functionKey) => {
    let event: unknown;
    return {
      setEvent(given) {
        event = given;
      },
      setClientContext() {},
      runHandler: () => invoke(functionKey, event),
    };
  };
}

function contextOf({ name, memorySize }: FunctionDefinition, timeoutMs: number): LambdaContext {
  const endsAt = performance.now() + timeoutMs;
  return {
    awsRequestId: randomUUID(),
    functionName: name,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:local:123456789012:function:${name}`,
    memoryLimitInMB: String(memorySize ?? 1024),
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: 'local',
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(endsAt - performance.now())),
  };
}
