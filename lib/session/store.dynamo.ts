import { setTimeout as sleep } from 'node:timers/promises';
import type { AttributeValue, BatchGetItemOutput } from '@aws-sdk/client-dynamodb';
import type { AwsClientConfig } from '../aws-json';
import { fullJitterMs } from '../backoff';
import { conditionally, dynamoClient, inTime } from '../dynamo';
import { runsOf } from '../runs';
import type { SessionState } from './state';
import type { SessionStore } from './store';

/** What DynamoDB takes in one request. */
const mostReads = 100;
const mostDeletes = 25;
/** Before what DynamoDB left out of a batch is asked for again. */
const backOff = { pauseMs: 50, longestPauseMs: 500 };

type Item = Record<string, AttributeValue>;

/** The size of each where they are counted. */
const one = () => 1;

/**
 * Sessions on DynamoDB, by single-item writes, one of which is conditional; no transactions. Hash key `session` (S), range
 * key `item` (S), `expiresAt` (N, s, the table's TTL attribute). Items:
 * - `state`: `version` (N), `state` (S, the JSON of a SessionState: about 3 KB; up to 90 KB where nothing is received);
 * - `page#<id>`: `frames` (L of S), 300 KB at most.
 *
 * | operation     | requests                                   | units                          |
 * | ------------- | ------------------------------------------ | ------------------------------ |
 * | `load`        | 1 GetItem, consistent                      | 1 for each 4 KB of the state   |
 * | `save`        | 1 PutItem, conditional                     | 1 for each KB of the state     |
 * | `putPage`     | 1 PutItem                                  | 1 for each KB of the page      |
 * | `pages`       | 1 BatchGetItem, consistent, for each 100   | 1 for each 4 KB of each page   |
 * | `deletePages` | 1 BatchWriteItem for each 25               | 1 for each KB of each page     |
 *
 * What a batch of reads leaves unprocessed is asked for again. A call without an answer rejects within six seconds.
 */
export function dynamoSessionStore(tableName: string, config: AwsClientConfig = {}): SessionStore {
  const client = dynamoClient(config);
  const key = (session: string, item: string): Item => ({ session: { S: session }, item: { S: item } });
  const pageKey = (session: string, pageId: string) => key(session, `page#${pageId}`);

  async function readPages(keys: Item[]): Promise<Item[]> {
    const items: Item[] = [];
    const time = inTime();
    let wanted: Item[] | undefined = keys;
    for (let attempt = 0; wanted !== undefined; attempt += 1) {
      if (attempt > 0) await sleep(fullJitterMs(attempt, backOff));
      const read = { RequestItems: { [tableName]: { Keys: wanted, ConsistentRead: true } } };
      const answer: BatchGetItemOutput = await client.send('BatchGetItem', read, time);
      items.push(...(answer.Responses?.[tableName] ?? []));
      wanted = answer.UnprocessedKeys?.[tableName]?.Keys;
    }
    return items;
  }

  return {
    async load(session) {
      const get = { TableName: tableName, Key: key(session, 'state'), ConsistentRead: true };
      const { Item } = await client.send('GetItem', get, inTime());
      if (Item === undefined) return undefined;
      return { state: JSON.parse(Item.state?.S ?? '') as SessionState, version: Number(Item.version?.N) };
    },

    async save(state, version) {
      const put = {
        TableName: tableName,
        Item: {
          ...key(state.session, 'state'),
          version: { N: String(version + 1) },
          state: { S: JSON.stringify(state) },
          expiresAt: { N: String(state.expiresAt) },
        },
        ...(version === 0
          ? { ConditionExpression: 'attribute_not_exists(version)' }
          : {
              ConditionExpression: 'version = :version',
              ExpressionAttributeValues: { ':version': { N: String(version) } },
            }),
      };
      return (await conditionally(client.send('PutItem', put, inTime()))) === undefined ? 'conflict' : 'saved';
    },

    async putPage(session, pageId, frames, expiresAt) {
      const put = {
        TableName: tableName,
        Item: {
          ...pageKey(session, pageId),
          frames: { L: frames.map((frame) => ({ S: frame })) },
          expiresAt: { N: String(expiresAt) },
        },
      };
      await client.send('PutItem', put, inTime());
    },

    async pages(session, pageIds) {
      const keys = pageIds.map((id) => pageKey(session, id));
      const items = (await Promise.all(runsOf(keys, mostReads, one).map((run) => readPages(run.items)))).flat();
      return new Map(
        items.map(({ item, frames }) => [
          (item?.S ?? '').slice('page#'.length),
          (frames?.L ?? []).map(({ S = '' }) => S),
        ]),
      );
    },

    async deletePages(session, pageIds) {
      const deletes = pageIds.map((id) => ({ DeleteRequest: { Key: pageKey(session, id) } }));
      const batches = runsOf(deletes, mostDeletes, one).map(({ items }) =>
        client.send('BatchWriteItem', { RequestItems: { [tableName]: items } }, inTime()),
      );
      await Promise.all(batches);
    },
  };
}
