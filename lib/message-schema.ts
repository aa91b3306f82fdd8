import * as v from 'valibot';
import { GatewayError } from './errors';
import { isObject, type JsonObject } from './json';

/**
 * What the `data` of a send must look like. This gateway asks for nothing but an object; a deployment that knows its
 * services' messages pins the shape here, and clients learn of a mistake before it reaches a queue:
 *
 *     const Message = v.looseObject({ prompt: v.pipe(v.string(), v.maxLength(4000)) });
 */
const Message = v.looseObject({});

/** The data as it came, or GatewayError `invalid_message` that names the first field that is wrong. */
export function checkMessage(data: unknown): JsonObject {
  if (!isObject(data)) throw new GatewayError('invalid_message', 'data must be a JSON object.');
  const [issue] = v.safeParse(Message, data, { abortEarly: true }).issues ?? [];
  if (issue !== undefined) {
    const path = v.getDotPath(issue);
    throw new GatewayError('invalid_message', `data${path === null ? '' : `.${path}`}: ${issue.message}.`);
  }
  return data;
}
