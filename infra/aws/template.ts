import type { Parameters } from '../parameters';
import { alarms } from './alarms';
import { api, apiExtensions, type Extensions } from './api';
import { broker, brokerArn, brokerSecretArn, brokerUrl } from './broker';
import { dashboard } from './dashboard';
import { type FunctionSettings, functionSettings, isAuthorized } from './functions';
import type { Output, Resources } from './intrinsics';
import { network, networkOutputs } from './network';
import { queues } from './queues';
import { roles } from './roles';
import { table } from './table';

/**
 * All that a deployment has beside what the framework makes of serverless.yml (the API with its routes, the functions,
 * their log groups): a pure function of the parameters, by concern one file of this folder each.
 */

export interface Template {
  functions: Record<string, FunctionSettings>;
  Resources: Resources;
  Outputs: Record<string, Output>;
  /** Laid over resources of the framework. */
  extensions: Extensions;
}

/** What API Gateway calls. */
const routed = ['connect', 'disconnect', 'default', 'send', 'session'];

export function gatewayTemplate(parameters: Parameters): Template {
  const functions = functionSettings(parameters);
  return {
    functions,
    Resources: {
      ...table(parameters),
      ...network(parameters),
      ...broker(parameters),
      ...queues(parameters),
      ...roles(parameters, Object.keys(functions)),
      ...api(parameters),
      ...alarms(parameters),
      ...dashboard(parameters),
    },
    Outputs: {
      BrokerUrl: { Description: 'RabbitMQ, for your services', Value: brokerUrl(parameters) },
      BrokerArn: { Description: 'The broker', Value: brokerArn(parameters) },
      BrokerSecretArn: { Description: 'The secret with its user and password', Value: brokerSecretArn(parameters) },
      ...networkOutputs(parameters),
    },
    extensions: apiExtensions(parameters, [...routed, ...(isAuthorized(parameters) ? ['authorizer'] : [])]),
  };
}
