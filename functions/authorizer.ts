import type { APIGatewayAuthorizerResult, APIGatewayRequestAuthorizerEvent } from 'aws-lambda';
import { openAuthorizer, openLog } from '../lib/compose';

const log = openLog('authorizer');
const authorize = openAuthorizer(log);

/**
 * Authorizer of `$connect`: lets the client in (with its user), answers 403 by a policy, or 401 by the one throw that API
 * Gateway knows: any other, such as where no keys can be had, is a 500. API Gateway looks at the message alone.
 */
export const handler = async (event: APIGatewayRequestAuthorizerEvent): Promise<APIGatewayAuthorizerResult> => {
  const { connectionId = '' } = event.requestContext;
  const admission = await authorize(event);
  if (admission.result !== 'allowed') {
    log.info('Refused a client', { connectionId, verdict: admission.result, reason: admission.reason });
  }
  if (admission.result === 'unauthorized') throw new Error('Unauthorized', { cause: admission.reason });
  const principal = admission.result === 'allowed' ? admission.principal : undefined;
  return {
    principalId: principal?.userId ?? 'anonymous',
    policyDocument: {
      Version: '2012-10-17',
      Statement: [
        {
          Action: 'execute-api:Invoke',
          Effect: admission.result === 'allowed' ? 'Allow' : 'Deny',
          Resource: event.methodArn,
        },
      ],
    },
    ...(principal === undefined ? {} : { context: { ...principal } }),
  };
};
