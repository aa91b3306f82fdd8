// Runs one bundled function in a process of its own, as Lambda does: it says when it is ready, an event comes as a message,
// its end goes back.
// argv: the bundle, the timeout in milliseconds.
const { handler } = require(process.argv[2]);
const timeoutMs = Number(process.argv[3]);

process.on('message', async ({ id, event }) => {
  const endsAt = Date.now() + timeoutMs;
  const context = { getRemainingTimeInMillis: () => Math.max(0, endsAt - Date.now()) };
  try {
    process.send({ id, result: await handler(event, context) });
  } catch (error) {
    process.send({ id, error: String(error) });
  }
});
process.send({ ready: true });
