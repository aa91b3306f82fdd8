import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AREAS } from './differential/areas';
import { type EmbeddedTarget, embeddedTarget } from './differential/embedded-target';
import { NOT_RECORDED, recordedTranscripts } from './differential/recording';
import { transcriptOf } from './differential/script';

// The recordings are RabbitMQ's, so this needs none; differential.rabbitmq.test.ts sees to it that they are true.
let embedded: EmbeddedTarget;

beforeAll(async () => {
  embedded = await embeddedTarget();
});

afterAll(() => embedded.close());

describe.each(Object.entries(AREAS))('%s', (area, scenarios) => {
  const recorded = recordedTranscripts(area);

  test('has a recording of every scenario and of nothing else', () => {
    expect([...recorded.keys()]).toEqual(scenarios.map(({ name }) => name));
  });

  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', async (name, scenario) => {
    expect(await transcriptOf(scenario, embedded)).toBe(recorded.get(name) ?? NOT_RECORDED);
  });
});
