import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { before, deadlineOf, within } from './deadline';
import { isObject, type JsonObject } from './json';
import type { Log } from './log';
import { reasonOf, reasonsOf } from './reason';

/**
 * A custom resource of CloudFormation: whatever becomes of a request, it is answered within the function's time, for
 * CloudFormation waits up to an hour for an answer. Where the answer itself cannot be left, the function throws, and
 * Lambda brings the same request again, as it does for all asynchronous events. Whoever has the URL for the answer can
 * speak for the stack: it appears in no error and no log.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
 */

export interface ResourceRequest {
  type: 'Create' | 'Update' | 'Delete';
  /** As in the template, but that CloudFormation makes texts of numbers and booleans. */
  properties: JsonObject;
}

/** What `Fn::GetAtt` reads. */
export type Attributes = Record<string, string>;

/**
 * @param fulfil does what a request asks for, before `deadline` (milliseconds since 1970); what it throws is the reason
 * that CloudFormation shows. Requests may come more than once.
 */
export function customResource(
  log: Log,
  fulfil: (request: ResourceRequest, deadline: number) => Promise<Attributes>,
): (event: unknown, context: Pick<Context, 'getRemainingTimeInMillis'>) => Promise<void> {
  return async (event, context) => {
    const request = isObject(event) ? event : {};
    const { ResponseURL: url } = request;
    if (!isAnswerUrl(url)) {
      log.error('Got an event that is no request of CloudFormation', { reason: 'no ResponseURL that can be used' });
      return;
    }
    const outcome = await outcomeOf(request, deadlineOf(context, answerMs), fulfil).catch((error: unknown): Outcome => {
      log.error('Failed to fulfil a request of CloudFormation', { error });
      return { Status: 'FAILED', Reason: reasonsOf(error) };
    });
    await leave(url, answerTo(request, outcome), deadlineOf(context));
  };
}

/** Whether it is one of CloudFormation's, right or not. */
export function isRequest(event: unknown): boolean {
  return isObject(event) && ('ResponseURL' in event || 'RequestType' in event);
}

type Outcome = { Status: 'SUCCESS'; Data: Attributes } | { Status: 'FAILED'; Reason: string };

/** Kept for the answer. */
const answerMs = 20_000;
/** So that `fulfil` can still say why it is not done. */
const lastWordMs = 1000;

async function outcomeOf(
  { RequestType: type, ResourceProperties: properties }: JsonObject,
  deadline: number,
  fulfil: (request: ResourceRequest, deadline: number) => Promise<Attributes>,
): Promise<Outcome> {
  if (type !== 'Create' && type !== 'Update' && type !== 'Delete') throw new Error('the RequestType is not known');
  const request: ResourceRequest = { type, properties: isObject(properties) ? properties : {} };
  const Data = await before(deadline, fulfil(request, deadline - lastWordMs));
  if (Data === undefined) throw new Error('it was not done in time');
  return { Status: 'SUCCESS', Data };
}

/** CloudFormation takes answers of at most 4096 bytes. */
const mostBytes = 4096;

function answerTo(request: JsonObject, outcome: Outcome): string {
  const { StackId, RequestId, LogicalResourceId } = request;
  const fixed = {
    Status: outcome.Status,
    StackId,
    RequestId,
    LogicalResourceId,
    // CloudFormation deletes the resource whose id is replaced by another one.
    PhysicalResourceId: request.PhysicalResourceId ?? `${StackId}/${LogicalResourceId}`,
  };
  for (let longest = mostBytes; ; longest = Math.floor(longest / 2)) {
    const cut = (key: string, value: unknown) =>
      typeof value === 'string' && !(key in fixed) ? value.slice(0, longest) : value;
    const answer = JSON.stringify({ ...outcome, ...fixed }, cut);
    if (longest === 0 || Buffer.byteLength(answer) <= mostBytes) return answer;
  }
}

const attempts = 4;
const attemptMs = 4000;
const pauseMs = 300;

async function leave(url: string, answer: string, deadline: number): Promise<void> {
  let reason = 'no time is left';
  for (let attempt = 1; attempt <= attempts && Date.now() < deadline; attempt += 1) {
    if (attempt > 1) await sleep(Math.min(pauseMs * attempt, Math.max(0, deadline - Date.now())));
    try {
      const response = await within(Math.max(0, Math.min(attemptMs, deadline - Date.now())), (signal) =>
        // The URL is signed for no content type.
        fetch(url, { method: 'PUT', headers: { 'content-type': '' }, body: answer, signal }),
      );
      if (response.ok) return;
      reason = `status ${response.status}`;
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      reason = reasonOf(cause ?? error);
    }
  }
  throw new Error(`CloudFormation does not take the answer: ${reason}`);
}

/** On AWS always https; on a loopback address nobody else reads it. */
function isAnswerUrl(url: unknown): url is string {
  if (typeof url !== 'string' || !URL.canParse(url)) return false;
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && hostname === '127.0.0.1');
}
