import { createHash, createHmac } from 'node:crypto';
import { Pool } from 'undici';
import { framesOf, type Replies } from './frames';

/**
 * Posts all at once, in no order, with little more than a socket needs: undici, and Signature Version 4 in a few lines.
 * As fast as it can be done; it knows of no failure but a status.
 */

const { MANAGEMENT_ENDPOINT = '', AWS_REGION = '', AWS_ACCESS_KEY_ID = '' } = process.env;
const { AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = '' } = process.env;
const { origin, host, pathname } = new URL(MANAGEMENT_ENDPOINT);
const stagePath = pathname.replace(/\/$/, '');
// As many sockets as there are posts; they stay open as long as the service keeps them.
const pool = new Pool(origin, { keepAliveTimeout: 60_000 });

export const handler = async (event: Replies): Promise<void> => {
  await Promise.all(framesOf(event).map(({ connectionId, text }) => post(connectionId, text)));
};

async function post(connectionId: string, text: string): Promise<void> {
  const segment = encodeURIComponent(connectionId);
  const path = `${stagePath}/@connections/${segment}`;
  // Signed is the path as it is sent, each segment encoded once more.
  const headers = signed(`${stagePath}/%40connections/${encodeURIComponent(segment)}`, text);
  const { statusCode, body } = await pool.request({ method: 'POST', path, headers, body: text });
  await body.dump();
  if (statusCode !== 200) throw new Error(`@connections answered ${statusCode}`);
}

const algorithm = 'AWS4-HMAC-SHA256';

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function signed(path: string, body: string): Record<string, string> {
  const time = new Date().toISOString().replace(/[:-]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const names = 'host;x-amz-date;x-amz-security-token';
  const lines = `host:${host}\nx-amz-date:${time}\nx-amz-security-token:${AWS_SESSION_TOKEN}\n`;
  const scope = `${day}/${AWS_REGION}/execute-api/aws4_request`;
  const canonical = `POST\n${path}\n\n${lines}\n${names}\n${sha256(body)}`;
  const signature = hmac(keyOf(day), `${algorithm}\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex');
  return {
    'content-type': 'application/octet-stream',
    'x-amz-date': time,
    'x-amz-security-token': AWS_SESSION_TOKEN,
    authorization: `${algorithm} Credential=${AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

let cached: { day: string; key: Buffer } | undefined;

/** It holds for a day. */
function keyOf(day: string): Buffer {
  if (cached?.day !== day) {
    const parts = [day, AWS_REGION, 'execute-api', 'aws4_request'];
    const start = Buffer.from(`AWS4${AWS_SECRET_ACCESS_KEY}`);
    cached = { day, key: parts.reduce<Buffer>((key, part) => hmac(key, part), start) };
  }
  return cached.key;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
