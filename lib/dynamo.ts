import type {
  BatchGetItemInput,
  BatchGetItemOutput,
  BatchWriteItemInput,
  BatchWriteItemOutput,
  DeleteItemInput,
  DeleteItemOutput,
  GetItemInput,
  GetItemOutput,
  PutItemInput,
  PutItemOutput,
  UpdateItemInput,
  UpdateItemOutput,
} from '@aws-sdk/client-dynamodb';
import { type AwsClient, type AwsClientConfig, AwsError, type AwsService, awsClient } from './aws-json';

/** What every table asks of DynamoDB: an answer within six seconds, and whether the condition of a write held. */

export type DynamoClient = AwsClient<{
  GetItem: [GetItemInput, GetItemOutput];
  PutItem: [PutItemInput, PutItemOutput];
  UpdateItem: [UpdateItemInput, UpdateItemOutput];
  DeleteItem: [DeleteItemInput, DeleteItemOutput];
  BatchGetItem: [BatchGetItemInput, BatchGetItemOutput];
  BatchWriteItem: [BatchWriteItemInput, BatchWriteItemOutput];
}>;

const dynamoDb: AwsService = {
  name: 'dynamodb',
  target: 'DynamoDB_20120810',
  jsonVersion: '1.0',
  variable: 'DYNAMODB',
  attempts: 3,
  headMs: 1500,
};

/** For all requests of a call together; `$connect` has ten seconds. */
const callMs = 5000;

export function dynamoClient(config: AwsClientConfig): DynamoClient {
  return awsClient(dynamoDb, config);
}

/** The time of one call. */
export function inTime(): AbortSignal {
  return AbortSignal.timeout(callMs);
}

/** The write's answer; undefined where its condition did not hold. */
export async function conditionally<Answer>(write: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof AwsError && error.name === 'ConditionalCheckFailedException') return undefined;
    throw error;
  }
}
