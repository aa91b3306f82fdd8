/** CloudFormation as data: what resources are, and the functions that refer from one to another. */

export interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string[];
  DeletionPolicy?: 'Delete' | 'RetainExceptOnCreate';
  UpdateReplacePolicy?: 'Delete' | 'Retain';
}

/** By logical id. */
export type Resources = Record<string, Resource>;

export interface Output {
  Description: string;
  Value: Value;
}

/** A text, or what CloudFormation makes one of. */
export type Value =
  | string
  | { Ref: string }
  | { 'Fn::GetAtt': [string, string] }
  | { 'Fn::Sub': unknown }
  | Select
  | Join;
type Select = { 'Fn::Select': [number, unknown] };
type Join = { 'Fn::Join': [string, Value[]] };

export function ref(logicalId: string): Value {
  return { Ref: logicalId };
}

export function getAtt(logicalId: string, attribute: string): Value {
  return { 'Fn::GetAtt': [logicalId, attribute] };
}

/** `text` with `${LogicalId}`, `${LogicalId.Attribute}`, `${AWS::Region}` and the names in `values`. */
export function sub(text: string, values?: Record<string, Value>): Value {
  return { 'Fn::Sub': values === undefined ? text : [text, values] };
}

/** The logical id that the framework gives to a function of serverless.yml. */
export function functionId(functionKey: string): string {
  return `${capitalized(functionKey)}LambdaFunction`;
}

export function roleId(functionKey: string): string {
  return `${capitalized(functionKey)}Role`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
