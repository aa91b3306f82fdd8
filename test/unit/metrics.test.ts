import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { emfMetrics, type Measurements, type MetricName, metricUnits } from '../../lib/metrics';
import { metricsOf } from '../helpers/emf';

function linesOf(measured: Measurements): string[] {
  const lines: string[] = [];
  emfMetrics('ws-gateway-test', (line) => lines.push(line)).write(measured);
  return lines;
}

describe('the metrics of an invocation', () => {
  test('are one line, with numbers where one was measured and lists where more were', () => {
    const [line = '', ...more] = linesOf({ RepliesDelivered: 3, EndToEnd: [5, 0, 7], ConfirmLatency: [4] });
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toMatchObject({
      RepliesDelivered: 3,
      EndToEnd: [5, 0, 7],
      ConfirmLatency: 4,
      _aws: { CloudWatchMetrics: [{ Namespace: 'ws-gateway-test', Dimensions: [[]] }] },
    });
  });

  test('leave out what did not happen, and are no line where nothing did', () => {
    expect(Object.keys(JSON.parse(linesOf({ Sends: 1, Retries: 0, EndToEnd: [] })[0] ?? ''))).toEqual([
      '_aws',
      'Sends',
    ]);
    expect(linesOf({ Retries: 0, EndToEnd: [] })).toEqual([]);
    expect(linesOf({})).toEqual([]);
  });

  test('keep a measured 0, which is a value', () => {
    expect(JSON.parse(linesOf({ EndToEnd: [0] })[0] ?? '')).toMatchObject({ EndToEnd: 0 });
  });

  test('are lines that CloudWatch takes, which add up to what was measured', () => {
    const names = Object.keys(metricUnits) as MetricName[];
    const value = fc.oneof(fc.nat(), fc.array(fc.nat(), { maxLength: 350 }));
    const measured = fc.dictionary(fc.constantFrom(...names), value) as fc.Arbitrary<Measurements>;
    fc.assert(
      fc.property(measured, (measured) => {
        const lines = linesOf(measured).map((line) => JSON.parse(line));
        const written = metricsOf(lines);
        for (const name of names) {
          const value = measured[name] ?? 0;
          expect(written[name] ?? []).toEqual(typeof value === 'number' ? (value === 0 ? [] : [value]) : value);
        }
        const longest = Math.max(0, ...Object.values(measured).map((value) => [value].flat().length));
        expect(lines.length).toBeLessThanOrEqual(Math.max(1, Math.ceil(longest / 100)));
      }),
    );
  });
});
