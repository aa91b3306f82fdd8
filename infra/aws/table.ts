import type { Parameters } from '../parameters';
import type { Resources } from './intrinsics';

/**
 * The connection table and the session table; lib/connections.ts and lib/session/store.ts say what is in them. The local
 * stack creates them from this too.
 */
export function table({ production }: Pick<Parameters, 'production'>): Resources {
  const kept = {
    Type: 'AWS::DynamoDB::Table',
    // A first deployment that fails leaves no table behind.
    DeletionPolicy: production ? 'RetainExceptOnCreate' : 'Delete',
    UpdateReplacePolicy: production ? 'Retain' : 'Delete',
  } as const;
  const properties = {
    BillingMode: 'PAY_PER_REQUEST',
    TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    // Without it DynamoDB encrypts too, with a key of its own that no audit of the account shows.
    ...(production ? { SSESpecification: { SSEEnabled: true } } : {}),
  };
  return {
    ConnectionTable: {
      ...kept,
      Properties: {
        ...properties,
        AttributeDefinitions: [{ AttributeName: 'connectionId', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'connectionId', KeyType: 'HASH' }],
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: production },
      },
    },
    // Without recovery: what a session was a minute ago contradicts what its client has seen since, and it ends in a day.
    SessionTable: {
      ...kept,
      Properties: {
        ...properties,
        AttributeDefinitions: [
          { AttributeName: 'session', AttributeType: 'S' },
          { AttributeName: 'item', AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: 'session', KeyType: 'HASH' },
          { AttributeName: 'item', KeyType: 'RANGE' },
        ],
      },
    },
  };
}
