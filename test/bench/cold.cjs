const { writeSync } = require('node:fs');
const { performance } = require('node:perf_hooks');

// The process whose start is measured: loads a bundle, gives it one event, and tells when it was answered. Both count
// from the start of the process: milliseconds and microseconds of CPU.

const [bundle, event] = process.argv.slice(2);
const context = { awsRequestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef', getRemainingTimeInMillis: () => 10_000 };

require(bundle)
  .handler(JSON.parse(event), context)
  .then((answer) => {
    const ms = performance.now();
    const { user, system } = process.cpuUsage();
    // Past what functions log.
    writeSync(3, JSON.stringify({ ms, cpuUs: user + system, answer: answer ?? null }));
    process.exit();
  });
