import { createHmac, hash } from 'node:crypto';
import type { AwsCredentials } from './aws-env';

/**
 * AWS Signature Version 4, in the headers of a request that has no query
 * (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */

export interface Signable {
  method: string;
  /** As it goes over the wire, percent-encoded. */
  path: string;
  /** Each is signed, so they are those that no proxy changes: names in lower case, `host` among them. */
  headers: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}

/** The request's headers, and those that sign it. */
export type Sign = (request: Signable, now?: Date) => Record<string, string>;

export interface SigningScope {
  /** As the service signs: `dynamodb`, `secretsmanager`, `execute-api`. */
  service: string;
  region: string;
  credentials: AwsCredentials;
}

export function signerFor({ service, region, credentials }: SigningScope): Sign {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials;
  let key: { day: string; bytes: Buffer } | undefined;

  /** Four hashes, which are the same for a day. */
  const keyOf = (day: string): Buffer => {
    if (key?.day !== day) {
      const parts = [day, region, service, 'aws4_request'];
      key = { day, bytes: parts.reduce(hmac, Buffer.from(`AWS4${secretAccessKey}`)) };
    }
    return key.bytes;
  };

  return ({ method, path, headers, body = '' }, now = new Date()) => {
    // 20150830T123600Z
    const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
    const day = time.slice(0, 8);
    const signed: Record<string, string> = { ...headers, 'x-amz-date': time };
    if (sessionToken !== undefined) signed['x-amz-security-token'] = sessionToken;
    const names = Object.keys(signed).sort();
    const lines = names.map((name) => `${name}:${collapsed(signed[name] as string)}\n`).join('');
    const signedNames = names.join(';');
    const canonical = `${method}\n${encodedAgain(path)}\n\n${lines}\n${signedNames}\n${hash('sha256', body)}`;
    const scope = `${day}/${region}/${service}/aws4_request`;
    const signature = hmac(keyOf(day), `AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash('sha256', canonical)}`);
    signed.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signedNames}, Signature=${signature.toString('hex')}`;
    return signed;
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Every service but S3 signs a path whose segments are encoded twice: `%40connections` as `%2540connections`. */
function encodedAgain(path: string): string {
  if (path === '/') return path;
  return encodeURIComponent(path)
    .replaceAll('%2F', '/')
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function collapsed(value: string): string {
  return value.trim().replace(/\s+/g, ' ');
}
