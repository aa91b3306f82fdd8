import type { Parameters } from '../parameters';
import { getAtt, type Resources, ref, sub, type Value } from './intrinsics';

/**
 * The RabbitMQ of the gateway on Amazon MQ, with a password that only Secrets Manager knows; or nothing, where there is
 * one already. The rest of the template asks here how to reach it.
 */

const username = 'gateway';

export function broker({ broker, service, stage }: Parameters): Resources {
  if (broker.kind === 'existing') return {};
  const isCluster = broker.access === 'private';
  return {
    BrokerSecret: {
      Type: 'AWS::SecretsManager::Secret',
      Properties: {
        Description: `User of the broker of ${service}-${stage}`,
        GenerateSecretString: {
          SecretStringTemplate: JSON.stringify({ username }),
          GenerateStringKey: 'password',
          PasswordLength: 40,
          // Amazon MQ takes no comma, colon or equals sign.
          ExcludePunctuation: true,
        },
      },
    },
    Broker: {
      Type: 'AWS::AmazonMQ::Broker',
      Properties: {
        BrokerName: broker.name,
        EngineType: 'RABBITMQ',
        EngineVersion: broker.engineVersion,
        HostInstanceType: broker.instanceType,
        DeploymentMode: isCluster ? 'CLUSTER_MULTI_AZ' : 'SINGLE_INSTANCE',
        PubliclyAccessible: !isCluster,
        ...(isCluster
          ? { SubnetIds: [ref('PrivateSubnet1'), ref('PrivateSubnet2')], SecurityGroups: [ref('BrokerSecurityGroup')] }
          : {}),
        // Amazon MQ demands it from RabbitMQ 3.13 on.
        AutoMinorVersionUpgrade: true,
        Logs: { General: true },
        Users: [
          {
            Username: username,
            // Read when the broker is created: a rotation does not change the template.
            Password: sub('{{resolve:secretsmanager:${BrokerSecret}:SecretString:password}}'),
          },
        ],
      },
    },
  };
}

export function brokerArn({ broker }: Parameters): Value {
  return broker.kind === 'existing' ? broker.arn : getAtt('Broker', 'Arn');
}

/** `{"username", "password"}` in Secrets Manager. */
export function brokerSecretArn({ broker }: Parameters): Value {
  return broker.kind === 'existing' ? broker.secretArn : ref('BrokerSecret');
}

/** amqps://host:5671 */
export function brokerUrl({ broker }: Parameters): Value {
  if (broker.kind === 'existing') return `amqps://${broker.host}:5671`;
  return { 'Fn::Select': [0, getAtt('Broker', 'AmqpEndpoints')] };
}
