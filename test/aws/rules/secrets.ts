// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation writes its references like this
import type { Packaged } from '../package';
import { textOf, valuesIn } from '../template';

/** No password, key or token stands in a template, nor in what CloudFormation shows of it. */

const secretName = /password|passwd|secret|token|credential|private.?key|api.?key/i;
/** They name a secret, or say how one is made. */
const harmless = /Arn$|_ARN$|^(SecretStringTemplate|GenerateStringKey|Description|ServiceToken)$/;

/** Where CloudFormation itself reads a secret: the one property that takes nothing else. */
const brokerPassword = 'Resources.Broker.Properties.Users[0].Password';

export function hasNoSecret({ template }: Packaged): string[] {
  const { Users } = template.Resources.Broker?.Properties ?? {};
  const isResolved =
    Users === undefined || textOf(Users[0].Password).startsWith('{{resolve:secretsmanager:${BrokerSecret}:');
  return [
    ...(isResolved ? [] : [`${brokerPassword}: is not read from the secret`]),
    ...[...valuesIn(template, '')].flatMap(({ value, path }) =>
      typeof value === 'string' ? textFaults(value, path.slice(1)) : [],
    ),
  ];
}

function textFaults(text: string, path: string): string[] {
  if (/\.(Ref|Fn::GetAtt\[\d\])$/.test(path)) return [];
  const name = path.split('.').findLast((part) => !part.startsWith('Fn::')) ?? '';
  const isSecret = secretName.test(name) && !harmless.test(name) && !/^(arn:|\{\{resolve:)/.test(text);
  return [
    ...(isSecret ? [`${path}: is a text`] : []),
    ...(/:\/\/[^/\s]*@/.test(text) ? [`${path}: is a URL with credentials`] : []),
    ...(/eyJ[\w-]{10,}\.[\w-]+\./.test(text) ? [`${path}: is a token`] : []),
    ...(text.includes('{{resolve:') && !path.startsWith(brokerPassword) ? [`${path}: resolves a secret`] : []),
  ];
}
