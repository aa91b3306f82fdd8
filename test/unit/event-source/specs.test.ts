import { describe, expect, test } from '@jest/globals';
import { mappingSpecs } from '../../../infra/local/event-source/specs';

const logicalId = (key: string) => `${key[0]?.toUpperCase()}${key.slice(1)}LambdaFunction`;
const mapping = (Properties: Record<string, unknown>) => ({
  Resources: { Mapping: { Type: 'AWS::Lambda::EventSourceMapping', Properties } },
});

describe('the mappings of a service', () => {
  test('are read from resources, in either spelling of the function', () => {
    const properties = {
      EventSourceArn: 'arn:aws:mq:x',
      Queues: ['ws_queue'],
      BatchSize: 20,
      MaximumBatchingWindowInSeconds: 0,
      SourceAccessConfigurations: [{ Type: 'VIRTUAL_HOST', URI: '/v' }],
    };
    const spec = {
      functionKey: 'consumer',
      queue: 'ws_queue',
      virtualHost: '/v',
      batchSize: 20,
      windowMs: 0,
      eventSourceArn: 'arn:aws:mq:x',
    };
    for (const name of ['ConsumerLambdaFunction.Arn', ['ConsumerLambdaFunction', 'Arn']]) {
      const resources = mapping({ ...properties, FunctionName: { 'Fn::GetAtt': name } });
      expect(mappingSpecs({ functions: { consumer: {} }, resources }, logicalId)).toEqual([spec]);
    }
  });

  test('are read from the functions’ own events, with AWS’s defaults', () => {
    const functions = { mine: { events: [{ rabbitmq: { arn: { Ref: 'Broker' }, queue: 'q' } }] } };
    expect(mappingSpecs({ functions }, logicalId)).toEqual([
      expect.objectContaining({
        functionKey: 'mine',
        queue: 'q',
        virtualHost: '/',
        batchSize: 100,
        windowMs: 500,
      }),
    ]);
  });

  test('leave out what is disabled, and what is for other sources', () => {
    const FunctionName = { 'Fn::GetAtt': ['ConsumerLambdaFunction', 'Arn'] };
    const functions = { consumer: { events: [{ rabbitmq: { arn: 'arn', queue: 'q', enabled: false } }] } };
    for (const resources of [
      mapping({ FunctionName, Queues: ['q'], Enabled: false }),
      mapping({ FunctionName, EventSourceArn: 'arn:aws:sqs:x' }),
    ]) {
      expect(mappingSpecs({ functions, resources }, logicalId)).toEqual([]);
    }
  });

  test('must name a function of the service', () => {
    const resources = mapping({ FunctionName: { 'Fn::GetAtt': ['Other', 'Arn'] }, Queues: ['q'] });
    expect(() => mappingSpecs({ functions: {}, resources }, logicalId)).toThrow(/FunctionName must be/);
  });
});
