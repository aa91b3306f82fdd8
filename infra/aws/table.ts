import type { Parameters } from '../parameters';
import type { Resources } from './intrinsics';

/** The connection table; lib/connections.ts says what a row is. The local stack creates it from this too. */
export function table({ production }: Pick<Parameters, 'production'>): Resources {
  return {
    ConnectionTable: {
      Type: 'AWS::DynamoDB::Table',
      // A first deployment that fails leaves no table behind.
      DeletionPolicy: production ? 'RetainExceptOnCreate' : 'Delete',
      UpdateReplacePolicy: production ? 'Retain' : 'Delete',
      Properties: {
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'connectionId', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'connectionId', KeyType: 'HASH' }],
        TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: production },
        // Without it DynamoDB encrypts too, with a key of its own that no audit of the account shows.
        ...(production ? { SSESpecification: { SSEEnabled: true } } : {}),
      },
    },
  };
}
