const { performance } = require('node:perf_hooks');

// The process that is measured: loads the bundles it is started with, and calls them, one after another as Lambda does
// or some at a time. What it tells is its own time and CPU; nothing of the project is in it but the bundles.

const handlers = process.argv.slice(2).map((path) => require(path).handler);
const context = { awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef', getRemainingTimeInMillis: () => 10_000 };

/**
 * @param calls `[number of the bundle, event]` each; without them it tells what it holds
 * @param atOnce so many are begun together, and the next when all of them have been answered
 * @param isTimed else garbage is left to Node
 */
process.on('message', async ({ calls, atOnce, isTimed }) => {
  if (calls === undefined) {
    globalThis.gc();
    const { rss, heapUsed } = process.memoryUsage();
    return process.send({ rssBytes: rss, heapBytes: heapUsed });
  }
  // What came with the message is nobody's garbage but ours. All garbage it must not be: with the shapes of objects that
  // are gone V8 drops the code that was compiled for them, which happens to nobody else before every turn.
  if (isTimed) globalThis.gc({ type: 'minor' });
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let at = 0; at < calls.length; at += atOnce) await Promise.all(calls.slice(at, at + atOnce).map(call));
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  process.send({ ms, cpuUs: user + system });
});

async function call([bundle, event]) {
  const answer = await handlers[bundle](event, context);
  if (answer !== undefined && isRefusal(answer)) throw new Error(`Answered ${JSON.stringify(answer)}`);
}

function isRefusal({ statusCode, body = '' }) {
  return statusCode !== 200 || body.includes('"event":"error"');
}

process.on('disconnect', () => process.exit());
process.send('ready');
