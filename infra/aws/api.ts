import type { Parameters } from '../parameters';
import { functionId, getAtt, type Resource, type Resources, sub } from './intrinsics';

/**
 * What the framework leaves out of the WebSocket API: throttling, an access log, and who may invoke the functions. Laid
 * over its resources; its own logging would take over the role with which all of the account's APIs write logs.
 */

/** Properties for resources of the framework, by their logical ids. */
export type Extensions = Record<string, Pick<Resource, 'Properties'>>;

/** No body, query string, header or address. */
const accessLogFormat = JSON.stringify({
  requestId: '$context.requestId',
  time: '$context.requestTime',
  event: '$context.eventType',
  route: '$context.routeKey',
  connectionId: '$context.connectionId',
  status: '$context.status',
  integrationStatus: '$context.integrationStatus',
  integrationLatencyMs: '$context.integrationLatency',
  authorizerStatus: '$context.authorizer.status',
  error: '$context.error.responseType',
});

export function api({ accessLogs, service, stage, logRetentionInDays }: Parameters): Resources {
  if (!accessLogs) return {};
  return {
    AccessLogGroup: {
      Type: 'AWS::Logs::LogGroup',
      Properties: { LogGroupName: `/aws/websocket/${service}-${stage}`, RetentionInDays: logRetentionInDays },
    },
  };
}

/** @param routed the functions that the API calls. */
export function apiExtensions(parameters: Parameters, routed: readonly string[]): Extensions {
  const { accessLogs, requestsPerSecond } = parameters;
  const fromThisApi = {
    Properties: {
      SourceArn: sub('arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WebsocketsApi}/*'),
    },
  };
  return {
    WebsocketsDeploymentStage: {
      Properties: {
        DefaultRouteSettings: {
          ThrottlingRateLimit: requestsPerSecond,
          ThrottlingBurstLimit: Math.ceil(requestsPerSecond / 2),
          // Execution logs hold bodies and tokens.
          LoggingLevel: 'OFF',
          DataTraceEnabled: false,
        },
        ...(accessLogs
          ? { AccessLogSettings: { DestinationArn: getAtt('AccessLogGroup', 'Arn'), Format: accessLogFormat } }
          : {}),
      },
    },
    ...Object.fromEntries(
      routed.map((key) => [functionId(key).replace('LambdaFunction', 'LambdaPermissionWebsockets'), fromThisApi]),
    ),
  };
}
