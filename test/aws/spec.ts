import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';

/** AWS's published schema of CloudFormation's resource types, as of the installed package. */

type Database = ReturnType<typeof loadAwsServiceSpecSync>;
const database: Database = loadAwsServiceSpecSync();

export type ResourceSchema = NonNullable<ReturnType<typeof schemaOf>>;
export type Properties = ResourceSchema['properties'];
export type Property = Properties[string];
export type PropertyType = Property['type'];

export function schemaOf(type: string) {
  return database.lookup('resource', 'cloudFormationType', 'equals', type)[0];
}

/** What a property of type `ref` consists of. */
export function definitionOf({ reference }: Extract<PropertyType, { type: 'ref' }>) {
  return database.get('typeDefinition', reference);
}

/** A resource that a function of ours makes; what it takes and answers no schema says. */
export function isCustom(type: string): boolean {
  return /^Custom::[\w@-]{1,60}$/.test(type) || type === 'AWS::CloudFormation::CustomResource';
}
