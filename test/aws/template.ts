/**
 * A CloudFormation template as it is read from JSON: its parts, its intrinsic functions, and what refers to what. What
 * is wrong with a template is told as lines, each the path of the fault and what it is.
 */

export interface Template {
  Resources: Record<string, Resource>;
  Parameters?: Record<string, { Type: string }>;
  Mappings?: Record<string, Record<string, Record<string, unknown>>>;
  Conditions?: Record<string, unknown>;
  Outputs?: Record<string, Record<string, unknown>>;
}

export interface Resource {
  Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: CloudFormation has 1,800 types
  Properties?: Record<string, any>;
  DependsOn?: string | string[];
  Condition?: string;
}

export interface Intrinsic {
  /** `Ref`, `Fn::GetAtt`, ... */
  name: string;
  argument: unknown;
}

/** What a value refers to: a resource, parameter or pseudo parameter, and of a resource perhaps an attribute. */
export interface Reference {
  path: string;
  target: string;
  attribute?: string;
}

export const noValue = 'AWS::NoValue';

export function intrinsicOf(value: unknown): Intrinsic | undefined {
  if (!isMap(value)) return undefined;
  const [entry, ...more] = Object.entries(value);
  if (entry === undefined || more.length > 0) return undefined;
  const [name, argument] = entry;
  return name === 'Ref' || name.startsWith('Fn::') ? { name, argument } : undefined;
}

/** Every value inside a value, itself first, with its path. */
export function* valuesIn(value: unknown, path: string): Generator<{ value: unknown; path: string }> {
  yield { value, path };
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* valuesIn(item, `${path}[${index}]`);
  } else if (isMap(value)) {
    for (const [key, item] of Object.entries(value)) yield* valuesIn(item, `${path}.${key}`);
  }
}

export function* referencesIn(value: unknown, path: string): Generator<Reference> {
  for (const { value: each, path: at } of valuesIn(value, path)) {
    const intrinsic = intrinsicOf(each);
    if (intrinsic === undefined) continue;
    for (const { target, attribute } of referencesOf(intrinsic)) {
      yield { path: at, target, ...(attribute === undefined ? {} : { attribute }) };
    }
  }
}

/** What an intrinsic function itself refers to, without what its arguments do. */
export function referencesOf({ name, argument }: Intrinsic): Omit<Reference, 'path'>[] {
  if (name === 'Ref' && typeof argument === 'string') return [{ target: argument }];
  if (name === 'Fn::GetAtt') {
    const [target, ...attribute] = typeof argument === 'string' ? argument.split('.') : list(argument);
    return [{ target: String(target), attribute: attribute.join('.') }];
  }
  if (name !== 'Fn::Sub') return [];
  const { text, values } = substitution(argument);
  return placeholders(text)
    .filter((placeholder) => !(placeholder in values))
    .map((placeholder) => {
      const [target = '', ...attribute] = placeholder.split('.');
      return attribute.length === 0 ? { target } : { target, attribute: attribute.join('.') };
    });
}

/** The text of a `Fn::Sub`, and the values that it brings along. */
export function substitution(argument: unknown): { text: string; values: Record<string, unknown> } {
  const [text, values] = Array.isArray(argument) ? argument : [argument, {}];
  return { text: typeof text === 'string' ? text : '', values: isMap(values) ? values : {} };
}

/** `${!name}` is a literal `${name}`. */
export function placeholders(text: string): string[] {
  return [...text.matchAll(/\$\{([^!}][^}]*)\}/g)].map(([, name = '']) => name.trim());
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}

export function ofType(
  template: Template,
  type: string,
): [id: string, properties: NonNullable<Resource['Properties']>][] {
  return Object.entries(template.Resources)
    .filter(([, resource]) => resource.Type === type)
    .map(([id, { Properties = {} }]) => [id, Properties]);
}

/** A value as `Fn::Sub` would write it: `${Table.Arn}`. */
export function textOf(value: unknown): string {
  const intrinsic = intrinsicOf(value);
  if (intrinsic === undefined) return typeof value === 'string' ? value : JSON.stringify(value);
  const { name, argument } = intrinsic;
  if (name === 'Ref') return `\${${argument}}`;
  if (name === 'Fn::GetAtt') return `\${${list(argument).join('.')}}`;
  if (name === 'Fn::Sub' && typeof argument === 'string') return argument;
  if (name === 'Fn::Join')
    return list(list(argument)[1])
      .map(textOf)
      .join(String(list(argument)[0]));
  return JSON.stringify(value);
}
