import type { Server } from 'node:http';

/** Ends a server with all its connections, those that it never answers included. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
