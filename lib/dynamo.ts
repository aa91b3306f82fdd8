import { ConditionalCheckFailedException, DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';

/** What every table asks of DynamoDB: an answer within six seconds, and whether the condition of a write held. */

/** The SDK itself waits for an answer without end. Its pauses between attempts, up to a second, come on top. */
const maxAttempts = 3;
/** From the connecting to the head of the answer; without the flag the SDK merely warns. */
const requestHandler = { requestTimeout: 1500, throwOnRequestTimeout: true };
/** For all requests of a call together, bodies of answers included; `$connect` has ten seconds. */
const callMs = 5000;

export function dynamoClient(clientConfig: DynamoDBClientConfig): DynamoDBClient {
  return new DynamoDBClient({ maxAttempts, requestHandler, ...clientConfig });
}

/** The options of the requests of one call. */
export function inTime(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(callMs) };
}

/** The write's answer; undefined where its condition did not hold. */
export async function conditionally<Answer>(write: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return undefined;
    throw error;
  }
}
