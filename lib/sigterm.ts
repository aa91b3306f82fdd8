/**
 * On SIGTERM the work under way is brought to its end, and then the process ends as it would have without us. Lambda
 * sends it only to a function with an extension, and kills the process half a second later:
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
 */
export function closeOnSigterm(resource: { close(): Promise<void> }): void {
  process.once('SIGTERM', async () => {
    await resource.close();
    // Whoever listens besides decides when the process ends.
    if (process.listenerCount('SIGTERM') === 0) process.kill(process.pid, 'SIGTERM');
  });
}
