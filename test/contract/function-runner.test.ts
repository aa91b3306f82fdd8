import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { functionRunner } from '../../infra/local/lambda';
import type { Serverless, ServerlessLog } from '../../infra/local/serverless';

/** Functions as the local stack runs them: what they are given, and what becomes of those that fail or hang. */

describe('a function on the local stack', () => {
  const folder = mkdtempSync(join(tmpdir(), 'functions-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  const complaints: string[] = [];
  const log: ServerlessLog = { notice() {}, warning() {}, error: (line) => complaints.push(line) };

  const runnerOf = (name: string, code: string, more = {}) => {
    writeFileSync(join(folder, `${name}.cjs`), code);
    const definition = { handler: `${name}.cjs.handler`, name: `service-dev-${name}`, ...more };
    const serverless = {
      serviceDir: folder,
      service: { functions: { [name]: definition }, provider: { environment: { OF_ALL: 'of all' }, timeout: 7 } },
      getProvider: () => ({ getRegion: () => 'eu-west-1' }),
    };
    return functionRunner(serverless as unknown as Serverless, log);
  };

  test('is given the event, the time that is left, and while it is loaded its environment', async () => {
    const code = `
      const { OF_ALL, OF_ITS_OWN, AWS_REGION } = process.env;
      exports.handler = async (event, context) =>
        ({ event, name: context.functionName, leftMs: context.getRemainingTimeInMillis(), OF_ALL, OF_ITS_OWN, AWS_REGION });`;
    const invoke = runnerOf('told', code, { environment: { OF_ITS_OWN: 'its own' } });
    const { leftMs, ...told } = (await invoke('told', { n: 1 })) as { leftMs: number };
    expect(told).toEqual({
      event: { n: 1 },
      name: 'service-dev-told',
      OF_ALL: 'of all',
      OF_ITS_OWN: 'its own',
      AWS_REGION: 'eu-west-1',
    });
    expect(leftMs).toBeLessThanOrEqual(7000);
    expect(leftMs).toBeGreaterThan(5000);
  });

  test('is loaded once for many events', async () => {
    const invoke = runnerOf('counting', 'let events = 0; exports.handler = async () => ++events;');
    expect([await invoke('counting', {}), await invoke('counting', {})]).toEqual([1, 2]);
  });

  test('that throws rejects, and is told at the terminal', async () => {
    const invoke = runnerOf('failing', `exports.handler = async () => { throw new Error('no luck'); };`);
    await expect(invoke('failing', {})).rejects.toThrow('no luck');
    expect(complaints.at(-1)).toMatch(/Unhandled exception in handler 'failing'.*no luck/s);
  });

  test('that cannot be loaded rejects each time', async () => {
    const invoke = runnerOf('unloadable', `throw new Error('TABLE_NAME is not set');`);
    await expect(invoke('unloadable', {})).rejects.toThrow('TABLE_NAME is not set');
    await expect(invoke('unloadable', {})).rejects.toThrow('TABLE_NAME is not set');
  });

  test('that never answers rejects at its timeout', async () => {
    const invoke = runnerOf('hanging', 'exports.handler = () => new Promise(() => undefined);', { timeout: 0.05 });
    await expect(invoke('hanging', {})).rejects.toThrow('Timed out after 0.05 s');
    expect(complaints.at(-1)).toContain('hanging');
  });
});
