import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import * as sdk from '@aws-sdk/client-dynamodb';
import * as secrets from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dynamoClient } from '../../lib/dynamo';
import { secretReader } from '../../lib/secret';
import { closeServer } from '../helpers/http-server';

/** What the gateway asks of DynamoDB and Secrets Manager is what AWS's SDK would ask, and it reads the same answer. */

const credentials = { accessKeyId: 'test', secretAccessKey: 'test', sessionToken: 'test' };
const region = 'us-east-1';

let server: Server;
let endpoint: string;
let asked: { headers: IncomingHttpHeaders; body: unknown }[];
let answer: object;

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  server = createServer(async (request, response) => {
    asked.push({ headers: request.headers, body: await json(request) });
    response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

beforeEach(() => {
  asked = [];
});

afterAll(() => closeServer(server));

/** Ours, then the SDK's. */
function expectSameRequest(): void {
  const [ours, theirs] = asked.slice(-2).map(({ headers, body }) => ({
    body,
    'content-type': headers['content-type'],
    'x-amz-target': headers['x-amz-target'],
    'x-amz-security-token': headers['x-amz-security-token'],
    scope: headers.authorization?.replace(/, .*/, ''),
  }));
  expect(ours).toEqual(theirs);
}

/** What the tables hold. */
const value: fc.Arbitrary<sdk.AttributeValue> = fc.oneof(
  fc.record({ S: fc.string({ unit: 'binary' }) }),
  fc.record({ N: fc.maxSafeInteger().map(String) }),
  fc.record({ L: fc.array(fc.record({ S: fc.string() })) }),
);
const name = fc.stringMatching(/^[a-z]{1,8}$/);
const item = fc.dictionary(name, value);
const write = fc.record(
  {
    TableName: name,
    ConditionExpression: fc.string(),
    ExpressionAttributeNames: fc.dictionary(name, fc.string()),
    ExpressionAttributeValues: item,
    ReturnValues: fc.constantFrom<sdk.ReturnValue>('ALL_NEW', 'ALL_OLD'),
  },
  { requiredKeys: ['TableName'] },
);
const times = { numRuns: 25 };
const soon = () => AbortSignal.timeout(5000);

describe('of DynamoDB', () => {
  const ours = () => dynamoClient({ endpoint, region, credentials });
  let theirs: sdk.DynamoDBClient;

  beforeAll(() => {
    theirs = new sdk.DynamoDBClient({ endpoint, region, credentials });
  });

  afterAll(() => theirs.destroy());

  /** Each answer as it is read by both. */
  async function expectSame(ask: () => Promise<object>, command: () => Promise<sdk.ServiceOutputTypes>): Promise<void> {
    const read = await ask();
    const { $metadata: _, ...readBySdk } = await command();
    expect(read).toEqual(readBySdk);
    expectSameRequest();
  }

  test('GetItem', () =>
    fc.assert(
      fc.asyncProperty(name, item, fc.option(item), async (TableName, Key, Item) => {
        const input = { TableName, Key, ConsistentRead: true };
        answer = Item === null ? {} : { Item };
        await expectSame(
          () => ours().send('GetItem', input, soon()),
          () => theirs.send(new sdk.GetItemCommand(input)),
        );
      }),
      times,
    ));

  test('PutItem, UpdateItem and DeleteItem', () =>
    fc.assert(
      fc.asyncProperty(write, item, fc.string(), async (input, key, UpdateExpression) => {
        answer = { Attributes: key };
        const put = { ...input, Item: key };
        await expectSame(
          () => ours().send('PutItem', put, soon()),
          () => theirs.send(new sdk.PutItemCommand(put)),
        );
        const update = { ...input, Key: key, UpdateExpression };
        await expectSame(
          () => ours().send('UpdateItem', update, soon()),
          () => theirs.send(new sdk.UpdateItemCommand(update)),
        );
        const remove = { ...input, Key: key };
        await expectSame(
          () => ours().send('DeleteItem', remove, soon()),
          () => theirs.send(new sdk.DeleteItemCommand(remove)),
        );
      }),
      times,
    ));

  test('BatchGetItem and BatchWriteItem', () =>
    fc.assert(
      fc.asyncProperty(name, fc.array(item, { minLength: 1 }), async (table, keys) => {
        const get = { RequestItems: { [table]: { Keys: keys, ConsistentRead: true } } };
        answer = { Responses: { [table]: keys }, UnprocessedKeys: get.RequestItems };
        await expectSame(
          () => ours().send('BatchGetItem', get, soon()),
          () => theirs.send(new sdk.BatchGetItemCommand(get)),
        );
        const deletes = { RequestItems: { [table]: keys.map((Key) => ({ DeleteRequest: { Key } })) } };
        answer = { UnprocessedItems: deletes.RequestItems };
        await expectSame(
          () => ours().send('BatchWriteItem', deletes, soon()),
          () => theirs.send(new sdk.BatchWriteItemCommand(deletes)),
        );
      }),
      times,
    ));
});

test('of Secrets Manager, the secret in the region of its ARN', async () => {
  const SecretId = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:broker-a1b2c3';
  answer = { ARN: SecretId, SecretString: '{"username":"ü","password":"\\""}', CreatedDate: 1_700_000_000.123 };
  const client = new secrets.SecretsManagerClient({ endpoint, region: 'eu-west-1', credentials });
  const text = await secretReader(SecretId, { endpoint, credentials })();
  const { SecretString } = await client.send(new secrets.GetSecretValueCommand({ SecretId }));
  client.destroy();
  expect(text).toBe(SecretString);
  expectSameRequest();
});
