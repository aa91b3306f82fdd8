import type { LambdaPool } from './lambda';

/**
 * API Gateway answers 401 where an authorizer throws an error with the message "Unauthorized". serverless-offline does so
 * only where one returns that text, which no promise of ours does, and answers 500 to the error.
 */
export async function answerUnauthorized(): Promise<void> {
  // @ts-expect-error: no types
  const { default: Lambda } = await import('serverless-offline/lambda');
  const pool: LambdaPool = Lambda.prototype;
  const { get } = pool;
  pool.get = function (this: LambdaPool, functionKey) {
    const lambda = get.call(this, functionKey);
    if (functionKey !== 'authorizer') return lambda;
    return {
      setEvent: (event) => lambda.setEvent(event),
      runHandler: () =>
        lambda.runHandler().catch((error: Error) => {
          if (error.message === 'Unauthorized') return 'Unauthorized';
          throw error;
        }),
    };
  };
}
