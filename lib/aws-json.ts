import { setTimeout as sleep } from 'node:timers/promises';
import { type AwsCredentials, credentialsFromEnv, endpointFromEnv, regionFromEnv } from './aws-env';
import { fullJitterMs } from './backoff';
import { type Answer, HttpError, httpClient } from './http';
import { isObject, parseJson } from './json';
import { signerFor } from './sign';

/**
 * Calls a service of AWS by its JSON protocol (https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html): a signed POST
 * for each attempt. What a moment may mend is tried again: no answer, one that breaks off or cannot be read, 5xx,
 * throttling. A call settles once its signal is aborted, whatever the service does. The SDK's clients do as much, and take
 * 200 KB and most of a cold start.
 *
 * Inputs and outputs are as they are on the wire: what JSON does not have, such as binary values, is the caller's to write.
 * The checksum of DynamoDB's answers is left to TLS; none is compressed, for nobody asks for that.
 */

export interface AwsService {
  /** As it signs, and as its host begins: `dynamodb`. */
  name: string;
  /** Before the operation in `x-amz-target`. */
  target: string;
  jsonVersion: '1.0' | '1.1';
  /** Its name in AWS_ENDPOINT_URL_<...>. */
  variable: string;
  attempts: number;
  /** Of one attempt, from the connecting to the head of the answer. */
  headMs: number;
}

export interface AwsClientConfig {
  /** `https://host[:port]`; else AWS_ENDPOINT_URL_<service>, else AWS_ENDPOINT_URL, else AWS's own. */
  endpoint?: string;
  /** Else AWS_REGION. */
  region?: string;
  /** Else those of the environment. */
  credentials?: AwsCredentials;
}

/** What is asked and what is answered, by the name of the operation. */
type Shapes<Operations> = { [Name in keyof Operations]: [input: object, output: object] };

export interface AwsClient<Operations extends Shapes<Operations>> {
  /**
   * Rejects with AwsError. The operation is named by a literal: the permissions of the functions are held to those in their
   * bundles.
   * @param signal for all attempts together, pauses and bodies of answers included.
   */
  send<Name extends keyof Operations & string>(
    operation: Name,
    input: Operations[Name][0],
    signal: AbortSignal,
  ): Promise<Operations[Name][1]>;
}

/** A service's refusal by its own name, such as `ResourceNotFoundException`, and in its words; nothing of the request. */
export class AwsError extends Error {
  /** Where there was no answer `TimeoutError`, or as Node calls it: `ECONNRESET`. */
  override readonly name: string;
  /** Of HTTP; 0 where there was no answer. */
  readonly status: number;

  constructor(name: string, status: number, message: string) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

type Outcome =
  | { result: 'done'; output: object }
  | { result: 'failed'; error: AwsError; again: keyof typeof backOff | 'never' };

/** Before the next attempt: as AWS's SDKs have it. */
const backOff = {
  soon: { pauseMs: 100, longestPauseMs: 20_000 },
  later: { pauseMs: 500, longestPauseMs: 20_000 },
};

/** What DynamoDB and Secrets Manager say with a 400 to who comes too often. */
const throttling = new Set([
  'ThrottlingException',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'LimitExceededException',
  'TransactionInProgressException',
]);

const longestMessage = 500;

/** Throws ConfigError where the environment lacks what the configuration leaves to it. */
export function awsClient<Operations extends Shapes<Operations>>(
  { name, target, jsonVersion, variable, attempts, headMs }: AwsService,
  config: AwsClientConfig = {},
): AwsClient<Operations> {
  const region = config.region ?? regionFromEnv();
  const url = new URL(config.endpoint ?? endpointFromEnv(variable) ?? endpointOf(name, region));
  const sign = signerFor({ service: name, region, credentials: config.credentials ?? credentialsFromEnv() });
  const send = httpClient(url);
  const same = { host: url.host, 'content-type': `application/x-amz-json-${jsonVersion}` };
  // The first signature of a process takes milliseconds, and while a function starts Lambda gives it more CPU than for an event.
  sign({ method: 'POST', path: url.pathname, headers: same });

  return {
    async send(operation, input, signal) {
      const body = JSON.stringify(input);
      const headers = { ...same, 'x-amz-target': `${target}.${operation}` };
      for (let tried = 1; ; tried += 1) {
        // Anew each time: a signature is good for five minutes.
        const signed = sign({ method: 'POST', path: url.pathname, headers, body });
        const request = { method: 'POST', path: url.pathname, headers: signed, body };
        const outcome = outcomeOf(await send(request, { headMs, signal }).catch((error: HttpError) => error));
        if (outcome.result === 'done') return outcome.output;
        const { error, again } = outcome;
        if (again === 'never' || tried === attempts || signal.aborted) throw error;
        await sleep(fullJitterMs(tried - 1, backOff[again]), undefined, { signal }).catch(() => {
          throw error;
        });
      }
    },
  };
}

function outcomeOf(answer: Answer | HttpError): Outcome {
  const failure = answer instanceof HttpError ? answer : answer.cutOff;
  if (failure !== undefined) {
    const { code, name, message } = failure;
    return { result: 'failed', error: new AwsError(code ?? name, 0, message), again: 'soon' };
  }
  const { status, text } = answer as Answer;
  const output = parseJson(text);
  if (status === 200 && isObject(output)) return { result: 'done', output };
  const error = errorOf(status, output);
  if (throttling.has(error.name) || status === 429) return { result: 'failed', error, again: 'later' };
  // A 200 that cannot be read is not the service's.
  const isPassing = status >= 500 || status === 408 || status === 200;
  return { result: 'failed', error, again: isPassing ? 'soon' : 'never' };
}

/** DynamoDB writes a name as `com.amazonaws.dynamodb.v20120810#ThrottlingException`; a proxy writes a page. */
function errorOf(status: number, answer: unknown): AwsError {
  const { __type, message, Message } = isObject(answer) ? answer : {};
  if (typeof __type !== 'string')
    return new AwsError('UnknownError', status, `The answer was ${status} and none of AWS.`);
  const name = __type.replace(/.*#/, '');
  return new AwsError(name, status, String(message ?? Message ?? name).slice(0, longestMessage));
}

/** Of the partitions that have one of their own; AWS's secret regions are not among them. */
const suffixes: Record<string, string> = { cn: 'amazonaws.com.cn', eusc: 'amazonaws.eu' };

function endpointOf(name: string, region: string): string {
  const [partition = ''] = region.split('-');
  return `https://${name}.${region}.${suffixes[partition] ?? 'amazonaws.com'}`;
}
