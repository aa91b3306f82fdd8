import { functionFaults } from './functions';
import { limitFaults } from './limits';
import { referenceFaults } from './references';
import { schemaFaults } from './schema';
import { isMap, type Template } from './template';

/**
 * What CloudFormation would refuse in a template, as far as AWS's published schema tells it, a line each with the path.
 * @param inline the template goes to CloudFormation in the request, not by S3.
 */
export function templateFaults(template: Template, { inline = false } = {}): string[] {
  return [
    ...partFaults(template),
    ...schemaFaults(template),
    ...functionFaults(template),
    ...referenceFaults(template),
    ...limitFaults(template, { inline }),
  ];
}

const parts = [
  'AWSTemplateFormatVersion',
  'Description',
  'Metadata',
  'Parameters',
  'Mappings',
  'Conditions',
  'Resources',
  'Outputs',
];

/** `Transform`, `Rules` and `Hooks` are CloudFormation's too; what they do is not checked here, so they are not taken. */
function partFaults(template: Template): string[] {
  const unknown = Object.keys(template)
    .filter((part) => !parts.includes(part))
    .map((part) => `${part}: is no part of a template`);
  const outputs = Object.entries(template.Outputs ?? {})
    .filter(([, output]) => !isMap(output) || output.Value === undefined)
    .map(([id]) => `Outputs.${id}.Value: is missing`);
  return [...unknown, ...outputs];
}
