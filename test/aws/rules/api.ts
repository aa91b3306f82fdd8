// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation writes its references like this
import type { Packaged } from '../package';
import { list, ofType, textOf } from '../template';

/** The WebSocket API: throttled, logged without what clients say, open only to those who may connect. */

export function throttles({ template }: Packaged): string[] {
  return ofType(template, 'AWS::ApiGatewayV2::Stage').flatMap(([id, { DefaultRouteSettings = {} }]) => {
    const { ThrottlingRateLimit, ThrottlingBurstLimit } = DefaultRouteSettings;
    return ThrottlingRateLimit === 5000 && ThrottlingBurstLimit === 2500
      ? []
      : [`${id}: takes ${ThrottlingRateLimit} requests/s, ${ThrottlingBurstLimit} at once`];
  });
}

/** What an access log may tell: nothing of this comes from a client, but the name of the route that it matched. */
const loggable = new Set(
  [
    'requestId extendedRequestId requestTime requestTimeEpoch eventType routeKey connectionId connectedAt messageId status',
    'error.responseType error.message error.messageString integrationStatus integrationLatency integrationErrorMessage',
    'integration.status integration.requestId integration.latency integration.error',
    'authorize.status authorize.latency authorizer.status authorizer.latency authorizer.requestId authorizer.error',
    'stage apiId',
  ]
    .join(' ')
    .split(' ')
    .map((name) => `$context.${name}`),
);

export function logsNoSecrets({ template, combination: { stage } }: Packaged): string[] {
  return [
    ...Object.entries(template.Resources)
      // They set the role with which all APIs of the account write logs.
      .filter(
        ([, { Type }]) =>
          Type === 'AWS::ApiGateway::Account' || (Type.startsWith('Custom::') && Type !== 'Custom::Topology'),
      )
      .map(([id, { Type }]) => `${id}: is a ${Type}, which reaches beyond the stack`),
    ...ofType(template, 'AWS::ApiGatewayV2::Stage').flatMap(
      ([id, { AccessLogSettings, DefaultRouteSettings = {} }]) => {
        const { LoggingLevel, DataTraceEnabled } = DefaultRouteSettings;
        const format = textOf(AccessLogSettings?.Format ?? '');
        return [
          ...((AccessLogSettings !== undefined) === (stage === 'prod')
            ? []
            : [`${id}: is wrong in logging on ${stage}`]),
          ...(LoggingLevel === 'OFF' && DataTraceEnabled === false
            ? []
            : [`${id}: logs executions, bodies and tokens with them`]),
          ...[...format.matchAll(/\$[\w.-]+/g)]
            .filter(([variable]) => !loggable.has(variable))
            .map(([variable]) => `${id}: logs ${variable}`),
          ...(format === '' || isJson(format) ? [] : [`${id}: logs other than JSON`]),
        ];
      },
    ),
  ];
}

/** On `$connect` alone; API Gateway asks for none anywhere else. */
export function asksWhoConnects({ template, combination: { auth, parameters } }: Packaged): string[] {
  const isAsked = auth === 'jwt' || parameters.allowedOrigins !== undefined;
  const authorizers = ofType(template, 'AWS::ApiGatewayV2::Authorizer');
  const connect = template.Resources.SconnectWebsocketsRoute?.Properties ?? {};
  if (!isAsked) {
    return authorizers.length === 0 && [undefined, 'NONE'].includes(connect.AuthorizationType)
      ? []
      : ['$connect: is authorized'];
  }
  const [[id, authorizer] = ['', {} as Record<string, unknown>], ...more] = authorizers;
  return [
    ...(authorizers.length === 1 && more.length === 0 ? [] : [`there are ${authorizers.length} authorizers`]),
    ...(connect.AuthorizationType === 'CUSTOM' && textOf(connect.AuthorizerId) === `\${${id}}`
      ? []
      : ['$connect: is open']),
    ...(authorizer.AuthorizerType === 'REQUEST' ? [] : [`${id}: is no REQUEST authorizer`]),
    // One that is named and missing would be refused before the function could look for the token elsewhere.
    ...(list(authorizer.IdentitySource ?? []).length === 0 ? [] : [`${id}: wants ${authorizer.IdentitySource}`]),
    ...(textOf(authorizer.AuthorizerUri).includes('${AuthorizerLambdaFunction.Arn}')
      ? []
      : [`${id}: calls another function`]),
  ];
}

export function isCalledByItself({ template }: Packaged): string[] {
  return ofType(template, 'AWS::Lambda::Permission').flatMap(([id, { Principal, SourceArn }]) =>
    textOf(Principal) === 'apigateway.amazonaws.com' && textOf(SourceArn ?? '').includes(':${WebsocketsApi}/')
      ? []
      : [`${id}: lets ${textOf(Principal)} call from ${textOf(SourceArn ?? 'anywhere')}`],
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
