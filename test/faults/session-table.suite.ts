import { describe, expect } from '@jest/globals';
import type { TableAnswer } from '../helpers/table-api';
import { faultOn, type TestBroker } from './faults';
import { cut } from './regulars';
import { startSessionRig } from './session-rig';
import { expectWhole } from './sessions.suite';

const habits = { clients: 25, messages: 2, replies: 10, pauseMs: 1500 };

const faults: [name: string, how: TableAnswer][] = [
  ['throttles', 'throttle'],
  ['answers 500', 'fail'],
  ['does not answer', 'hang'],
  ['resets connections', 'reset'],
  ['does all and says nothing', 'lose'],
];

/**
 * What the store of sessions does to them: replies wait in RabbitMQ until it is well again, and then none is missing, none is
 * there twice.
 */
export function describeSessionTableFaults(broker: TestBroker): void {
  describe(`DynamoDB under sessions, beside ${broker.name}`, () => {
    for (const [name, how] of faults) {
      // A batch that is given up within seconds comes back while the fault lasts.
      const start = () => startSessionRig(broker.url(), habits, 4000);
      faultOn(broker, `sessions: DynamoDB ${name}`, start, async (rig) => {
        const { regulars, consumer, table } = rig;
        const conversation = regulars.converse();
        // With no reply on its way nothing would fail: while it lasts no message gets through that would be answered.
        await regulars.given(150);
        table.answer(how);
        for (const regular of regulars.all.slice(0, 5)) cut(regular);
        const before = consumer.failures.length;
        await rig.failed(before + 2);
        table.answer('work');
        await conversation;
        return (row) => {
          expect(consumer.failures[before + 1]).toContain('Could not store the replies');
          expectWhole(rig, row);
        };
      });
    }
  });
}
