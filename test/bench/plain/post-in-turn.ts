import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { type Frame, framesOf, type Replies } from './frames';

/**
 * Posts to each connection one after another and to all connections at once, with the SDK's client as it comes: in
 * order.
 */

const api = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT as string });

export const handler = async (event: Replies): Promise<void> => {
  const lines = new Map<string, Frame[]>();
  for (const frame of framesOf(event)) lines.set(frame.connectionId, [...(lines.get(frame.connectionId) ?? []), frame]);
  await Promise.all([...lines.values()].map(postLine));
};

async function postLine(line: readonly Frame[]): Promise<void> {
  for (const { connectionId, text } of line) {
    await api.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: text }));
  }
}
