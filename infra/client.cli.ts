import { join } from 'node:path';
import { buildClient, clientFolder } from './client';

/** `npm run build:client` */
buildClient(join(__dirname, '..')).then(
  () => console.log(`The client library is in ${clientFolder}: npm install <path to it>.`),
  (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
