import { givesOf } from './functions';
import { definitionOf, isCustom, type Properties, type Property, type PropertyType, schemaOf } from './spec';
import { type Intrinsic, intrinsicOf, isMap, noValue, type Resource, referencesOf, type Template } from './template';

/**
 * Resources against AWS's published schema: known types, known properties, the required ones, values of the right type.
 * An intrinsic function is taken for what it gives: one text or a list of them.
 */

const partsOfResource: Record<string, (value: unknown) => boolean> = {
  Type: (value) => typeof value === 'string',
  Properties: isMap,
  Metadata: isMap,
  Condition: (value) => typeof value === 'string',
  DependsOn: (value) =>
    typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string')),
  CreationPolicy: isMap,
  UpdatePolicy: isMap,
  DeletionPolicy: (value) => ['Delete', 'Retain', 'RetainExceptOnCreate', 'Snapshot'].includes(value as string),
  UpdateReplacePolicy: (value) => ['Delete', 'Retain', 'Snapshot'].includes(value as string),
};

export function schemaFaults(template: Template): string[] {
  return Object.entries(template.Resources).flatMap(([id, resource]) => resourceFaults(id, resource, template));
}

function resourceFaults(id: string, resource: Resource, template: Template): string[] {
  const path = `Resources.${id}`;
  const faults = Object.entries(resource).flatMap(([part, value]) => {
    const isValid = partsOfResource[part];
    if (isValid === undefined) return [`${path}.${part}: is no part of a resource`];
    return isValid(value) ? [] : [`${path}.${part}: ${JSON.stringify(value)} is no ${part}`];
  });
  const properties = resource.Properties ?? {};
  if (isCustom(resource.Type)) {
    return properties.ServiceToken === undefined ? [...faults, `${path}.Properties.ServiceToken: is missing`] : faults;
  }
  const schema = schemaOf(resource.Type);
  if (schema === undefined) return [...faults, `${path}.Type: ${resource.Type} is no type of CloudFormation`];
  return [
    ...faults,
    ...mapFaults(properties, schema.properties, `${path}.Properties`, {
      template,
      isReadOnly: (name) => name in schema.attributes,
    }),
  ];
}

interface Context {
  template: Template;
  isReadOnly?(property: string): boolean;
}

function mapFaults(map: Record<string, unknown>, properties: Properties, path: string, context: Context): string[] {
  const missing = Object.entries(properties)
    .filter(([name, { required }]) => required && (map[name] === undefined || isNoValue(map[name])))
    .map(([name]) => `${path}.${name}: is missing`);
  const { template } = context;
  const faults = Object.entries(map).flatMap(([name, value]) => {
    const property = properties[name];
    if (property !== undefined) return propertyFaults(value, property, `${path}.${name}`, { template });
    return [`${path}.${name}: ${context.isReadOnly?.(name) ? 'is read-only' : 'is no property here'}`];
  });
  return [...missing, ...faults];
}

function propertyFaults(value: unknown, property: Property, path: string, context: Context): string[] {
  const intrinsic = intrinsicOf(value);
  const faults = valueFaults(value, property.type, path, context);
  if (intrinsic === undefined || !wantsArn(property) || givesArn(intrinsic, property, context) !== false) return faults;
  return [...faults, `${path}: should be an ARN, and ${JSON.stringify(value)} is none`];
}

function valueFaults(value: unknown, type: PropertyType, path: string, context: Context): string[] {
  const intrinsic = intrinsicOf(value);
  if (intrinsic !== undefined) return intrinsicFaults(intrinsic, type, path, context);
  const isNot = (expected: string) => [`${path}: should be ${expected}, is ${JSON.stringify(value)?.slice(0, 80)}`];
  switch (type.type) {
    case 'string':
    case 'date-time': {
      const allowed = 'allowedValues' in type ? type.allowedValues : undefined;
      if (typeof value !== 'string') return isNot('a text');
      return allowed === undefined || allowed.includes(value) ? [] : isNot(`one of ${allowed.join(', ')}`);
    }
    case 'boolean':
      return typeof value === 'boolean' ? [] : isNot('true or false');
    case 'number':
      return typeof value === 'number' ? [] : isNot('a number');
    case 'integer':
      return Number.isInteger(value) ? [] : isNot('a whole number');
    case 'null':
      return value === null ? [] : isNot('null');
    case 'json':
      return typeof value === 'object' && value !== null ? [] : isNot('JSON');
    case 'tag':
      return isMap(value) ? mapFaults(value, tag, path, context) : isNot('a tag');
    case 'array':
      if (!Array.isArray(value)) return isNot('a list');
      return value.flatMap((item, index) => valueFaults(item, type.element, `${path}[${index}]`, context));
    case 'map':
      if (!isMap(value)) return isNot('a map');
      return Object.entries(value).flatMap(([key, item]) => valueFaults(item, type.element, `${path}.${key}`, context));
    case 'ref': {
      const definition = definitionOf(type);
      return isMap(value)
        ? mapFaults(value, definition.properties, path, context)
        : isNot(`a map (${definition.name})`);
    }
    case 'union': {
      const [best = []] = type.types
        .map((each) => valueFaults(value, each, path, context))
        .sort((a, b) => a.length - b.length);
      return best;
    }
  }
}

const tag: Properties = {
  Key: { type: { type: 'string' }, required: true },
  Value: { type: { type: 'string' }, required: true },
};

function intrinsicFaults(intrinsic: Intrinsic, type: PropertyType, path: string, context: Context): string[] {
  const { name, argument } = intrinsic;
  if (isNoValue({ [name]: argument })) return [];
  if (name === 'Fn::If' && Array.isArray(argument)) {
    return argument
      .slice(1)
      .flatMap((branch, index) => valueFaults(branch, type, `${path}.Fn::If[${index + 1}]`, context));
  }
  const gives = givesOf(intrinsic, context.template);
  const isList = type.type === 'array';
  const takesAny = type.type === 'json' || type.type === 'union';
  if (gives === 'list' && !isList && !takesAny) return [`${path}: ${name} gives a list, not one value`];
  if (gives === 'text' && isList) return [`${path}: ${name} gives one value, not a list`];
  if (gives === 'text' && ['ref', 'map', 'tag'].includes(type.type))
    return [`${path}: ${name} gives a text, not a map`];
  return [];
}

function isNoValue(value: unknown): boolean {
  const intrinsic = intrinsicOf(value);
  return intrinsic?.name === 'Ref' && intrinsic.argument === noValue;
}

/** What the schema says of a property that refers to other resources: whether it does so by their ARN. */
function wantsArn({ relationshipRefs = [] }: Property): boolean {
  return relationshipRefs.length > 0 && relationshipRefs.every(({ propertyName }) => propertyName.endsWith('Arn'));
}

/** `undefined` where it cannot be known. */
function givesArn(
  intrinsic: Intrinsic,
  { relationshipRefs = [] }: Property,
  { template }: Context,
): boolean | undefined {
  if (!['Ref', 'Fn::GetAtt'].includes(intrinsic.name)) return undefined;
  const [reference] = referencesOf(intrinsic);
  const type = template.Resources[reference?.target ?? '']?.Type;
  if (type === undefined || !relationshipRefs.some(({ cloudFormationType }) => cloudFormationType === type))
    return undefined;
  const schema = schemaOf(type);
  const identifier = reference?.attribute ?? (schema?.cfnRefIdentifier ?? schema?.primaryIdentifier)?.join();
  return identifier?.endsWith('Arn');
}
