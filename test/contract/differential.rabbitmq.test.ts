import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rabbitmqctl, rabbitmqUrl, rabbitmqVersion } from '../helpers/rabbitmq';
import { AREAS } from './differential/areas';
import { type EmbeddedTarget, embeddedTarget } from './differential/embedded-target';
import { NOT_RECORDED, recordedTranscripts, writeTranscripts } from './differential/recording';
import { type Target, transcriptOf } from './differential/script';

// To record anew what RabbitMQ says: UPDATE_TRANSCRIPTS=1 .ci/with-rabbitmq npx jest differential.rabbitmq
const isRecording = process.env.UPDATE_TRANSCRIPTS === '1';

const rabbitmq: Target = {
  url: rabbitmqUrl(),
  setMemoryAlarm: (on) => rabbitmqctl('set_vm_memory_high_watermark', ...(on ? ['0.0001'] : ['absolute', '1GB'])),
  closeConnections: (virtualHost, reason) => rabbitmqctl('close_all_connections', '--vhost', virtualHost, reason),
};
let embedded: EmbeddedTarget;

beforeAll(async () => {
  embedded = await embeddedTarget();
  await rabbitmqctl('add_vhost', 'second');
  await rabbitmqctl('set_permissions', '-p', 'second', 'guest', '.*', '.*', '.*');
}, 60_000);

afterAll(async () => {
  await embedded.close();
});

// On a starved machine RabbitMQ's processes overtake each other: where it contradicts itself, or says nothing (to a close
// that crosses its own, say), it is asked a second time.
describe.each(Object.entries(AREAS))('%s', (area, scenarios) => {
  const recorded = recordedTranscripts(area);
  const said = new Map<string, string>();

  test.each(scenarios.map((scenario) => [scenario.name, scenario] as const))('%s', async (name, scenario) => {
    const known = recorded.get(name) ?? NOT_RECORDED;
    const [first, copy] = await Promise.all([
      transcriptOf(scenario, rabbitmq).catch(() => undefined),
      transcriptOf(scenario, embedded),
    ]);
    const isSettled = first !== undefined && (isRecording || first === known);
    const original = isSettled ? first : await transcriptOf(scenario, rabbitmq);
    said.set(name, original);
    expect(copy).toBe(original);
    if (!isRecording) expect(original).toBe(known);
  });

  afterAll(async () => {
    if (!isRecording || said.size === 0) return;
    if (said.size < scenarios.length) throw new Error(`Not recorded: an area is recorded as a whole, by -t '^${area}'`);
    writeTranscripts(area, await rabbitmqVersion(), said);
  });
});
