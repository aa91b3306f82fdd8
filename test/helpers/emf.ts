import { expect } from '@jest/globals';
import Ajv from 'ajv';
import { metricUnits } from '../../lib/metrics';

/**
 * What CloudWatch would make of lines of a log that are in its embedded metric format.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

interface EmfLine {
  _aws: { Timestamp: number; CloudWatchMetrics: { Namespace: string; Metrics: { Name: string; Unit?: string }[] }[] };
  [member: string]: unknown;
}

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength });

/** The specification's schema and, in `patternProperties`, what it says in prose of the target members. */
const validate = new Ajv({ strictTypes: false }).compile({
  type: 'object',
  required: ['_aws'],
  properties: {
    _aws: {
      type: 'object',
      required: ['Timestamp', 'CloudWatchMetrics'],
      additionalProperties: false,
      properties: {
        Timestamp: { type: 'integer' },
        CloudWatchMetrics: {
          type: 'array',
          items: {
            type: 'object',
            required: ['Namespace', 'Dimensions', 'Metrics'],
            additionalProperties: false,
            properties: {
              Namespace: text(1024),
              Dimensions: {
                type: 'array',
                minItems: 1,
                items: { type: 'array', minItems: 0, maxItems: 30, items: text(250) },
              },
              Metrics: {
                type: 'array',
                minItems: 0,
                maxItems: 100,
                items: {
                  type: 'object',
                  required: ['Name'],
                  additionalProperties: false,
                  properties: { Name: text(1024), Unit: { enum: ['Count', 'Milliseconds'] } },
                },
              },
            },
          },
        },
      },
    },
  },
  // The gateway has no dimensions and adds nothing else to a line: every other member is a metric's.
  patternProperties: {
    '^(?!_aws$)': {
      anyOf: [{ type: 'number' }, { type: 'array', minItems: 1, maxItems: 100, items: { type: 'number' } }],
    },
  },
});

/** The values of each metric; fails the test where a line is not what CloudWatch takes or has what no metric is. */
export function metricsOf(lines: readonly unknown[]): Record<string, number[]> {
  const values: Record<string, number[]> = {};
  for (const line of lines as EmfLine[]) {
    validate(line);
    expect({ line, errors: validate.errors ?? [] }).toEqual({ line, errors: [] });
    const { _aws, ...members } = line;
    const metrics = _aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics);
    expect(Object.keys(members).sort()).toEqual(metrics.map(({ Name }) => Name).sort());
    expect(metricUnits).toMatchObject(Object.fromEntries(metrics.map(({ Name, Unit }) => [Name, Unit])));
    for (const [name, value] of Object.entries(members)) {
      values[name] = [...(values[name] ?? []), ...([value].flat() as number[])];
    }
  }
  return values;
}

export function isEmf(line: unknown): boolean {
  return typeof line === 'object' && line !== null && '_aws' in line;
}
