import type { MqEvent } from './event-source/event';
import type { FunctionDefinition, OfflineOptions, Serverless } from './serverless';

/** Runs functions as serverless-offline runs them, with its timeout and its context. */

/** Resolves with what the function returns; rejects when it throws or runs out of time. */
export type Invoke = (functionKey: string, event: MqEvent) => Promise<unknown>;

/** The exported part of serverless-offline, which has no types. */
interface LambdaPool {
  create(functions: { functionKey: string; functionDefinition: FunctionDefinition }[]): void;
  get(functionKey: string): { setEvent(event: unknown): void; runHandler(): Promise<unknown> };
}

export async function functionRunner(serverless: Serverless, offline: OfflineOptions): Promise<Invoke> {
  // @ts-expect-error: no types
  const { default: Lambda } = await import('serverless-offline/lambda');
  const pool: LambdaPool = new Lambda(serverless, { useInProcess: true, ...offline });
  pool.create(
    Object.entries(serverless.service.functions).map(([functionKey, functionDefinition]) => ({
      functionKey,
      functionDefinition,
    })),
  );
  return (functionKey, event) => {
    const lambda = pool.get(functionKey);
    lambda.setEvent(event);
    return lambda.runHandler();
  };
}
