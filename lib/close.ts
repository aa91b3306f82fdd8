import type { Answer } from './http';
import { type ManagementClientConfig, managementClient } from './management-client';

/**
 * Ends a connection through API Gateway's @connections, after a last frame, if there is one. It never throws; whether or
 * not that frame was taken, the connection is closed.
 */
export type Close = (
  connectionId: string,
  lastFrame: string | undefined,
  deadline: number,
) => Promise<'closed' | 'failed'>;

/** For the frame, and again for the closing. */
const callMs = 1500;
const attempts = 2;

/** @param endpoint as `managementClient` has it. */
export function apiGatewayClose(endpoint: string, config?: ManagementClientConfig): Close {
  const { post, disconnect } = managementClient(endpoint, config);
  return async (connectionId, lastFrame, deadline) => {
    if (lastFrame !== undefined) await answered(deadline, (timeoutMs) => post(connectionId, lastFrame, timeoutMs));
    const status = await answered(deadline, (timeoutMs) => disconnect(connectionId, timeoutMs));
    return (status >= 200 && status < 300) || status === 410 ? 'closed' : 'failed';
  };
}

/** The status; 0 where there is no answer in time. What a moment may mend is tried again. */
async function answered(deadline: number, call: (timeoutMs: number) => Promise<Answer>): Promise<number> {
  const endsAt = Math.min(Date.now() + callMs, deadline);
  let status = 0;
  for (let attempt = 0; attempt < attempts && Date.now() < endsAt; attempt += 1) {
    ({ status } = await call(endsAt - Date.now()).catch(() => ({ status: 0 })));
    if (status > 0 && status < 500 && status !== 429) break;
  }
  return status;
}
