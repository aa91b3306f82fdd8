import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { framesOf, type Replies } from './frames';

/** Posts all at once, in no order, with the SDK's client as it comes. */

const api = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT as string });

export const handler = async (event: Replies): Promise<void> => {
  await Promise.all(
    framesOf(event).map(({ connectionId, text }) =>
      api.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: text })),
    ),
  );
};
