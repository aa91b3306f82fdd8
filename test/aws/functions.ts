import { isCustom, schemaOf } from './spec';
import {
  type Intrinsic,
  intrinsicOf,
  isMap,
  list,
  placeholders,
  referencesOf,
  substitution,
  type Template,
  valuesIn,
} from './template';

/** CloudFormation's intrinsic functions: what each takes, and what it gives. */

/** `any` is what nobody can tell from the template alone. */
export type Gives = 'text' | 'list' | 'any';

const functions: Record<string, { gives: Gives; takes: (argument: unknown, template: Template) => boolean }> = {
  Ref: { gives: 'text', takes: isText },
  'Fn::GetAtt': {
    gives: 'any',
    takes: (argument) =>
      (isText(argument) && argument.includes('.')) ||
      (Array.isArray(argument) && argument.length === 2 && argument.every(isText)),
  },
  'Fn::Sub': {
    gives: 'text',
    takes: (argument, template) =>
      (isText(argument) ||
        (Array.isArray(argument) && argument.length === 2 && isText(argument[0]) && isMap(argument[1]))) &&
      Object.values(substitution(argument).values).every((value) => isOne(value, template)),
  },
  'Fn::Join': {
    gives: 'text',
    takes: (argument, template) => {
      const [delimiter, values, ...more] = list(argument);
      if (!isText(delimiter) || more.length > 0) return false;
      return Array.isArray(values) ? values.every((value) => isOne(value, template)) : isMany(values, template);
    },
  },
  'Fn::Select': {
    gives: 'text',
    takes: (argument, template) => {
      const [index, values, ...more] = list(argument);
      if (more.length > 0 || (intrinsicOf(index) === undefined && !/^\d+$/.test(String(index)))) return false;
      return Array.isArray(values) ? Number(index) < values.length : isMany(values, template);
    },
  },
  'Fn::Split': {
    gives: 'list',
    takes: (argument, template) => {
      const [delimiter, value, ...more] = list(argument);
      return more.length === 0 && isText(delimiter) && isOne(value, template);
    },
  },
  'Fn::GetAZs': { gives: 'list', takes: isOne },
  'Fn::Cidr': { gives: 'list', takes: (argument) => Array.isArray(argument) && argument.length >= 2 },
  'Fn::Base64': { gives: 'text', takes: isOne },
  'Fn::ImportValue': { gives: 'text', takes: isOne },
  'Fn::FindInMap': { gives: 'any', takes: (argument) => Array.isArray(argument) && argument.length === 3 },
  'Fn::If': {
    gives: 'any',
    takes: (argument) => Array.isArray(argument) && argument.length === 3 && isText(argument[0]),
  },
};

/** Functions that exist and take what they are given; and no `${AWS::...}` or `${LogicalId}` where nothing replaces it. */
export function functionFaults(template: Template): string[] {
  const parts = { Resources: template.Resources, Outputs: template.Outputs ?? {} };
  return Object.entries(parts).flatMap(([part, content]) =>
    [...valuesIn(content, part)].flatMap(({ value, path }) => {
      if (typeof value === 'string') return /\.Fn::Sub(\[0\])?$/.test(path) ? [] : forgottenSub(value, path, template);
      const intrinsic = intrinsicOf(value);
      if (intrinsic === undefined) return [];
      const { name, argument } = intrinsic;
      const known = functions[name];
      if (known === undefined) return [`${path}: ${name} is no function of CloudFormation`];
      if (!known.takes(argument, template)) return [`${path}: ${name} does not take ${JSON.stringify(argument)}`];
      return name === 'Fn::Sub' ? listsInText(intrinsic, path, template) : [];
    }),
  );
}

export function givesOf(intrinsic: Intrinsic, template: Template): Gives {
  const { name } = intrinsic;
  const [reference] = referencesOf(intrinsic);
  if (name === 'Ref') {
    if (reference?.target === 'AWS::NotificationARNs') return 'list';
    const parameter = template.Parameters?.[reference?.target ?? ''];
    return /^List<|^CommaDelimitedList$|::List</.test(parameter?.Type ?? '') ? 'list' : 'text';
  }
  if (name === 'Fn::GetAtt') return attributeGives(reference?.target, reference?.attribute, template);
  return functions[name]?.gives ?? 'any';
}

/** What `Fn::GetAtt` of a resource gives; `any` for what a custom resource answers, and for what is not there. */
function attributeGives(target = '', attribute = '', template: Template): Gives {
  const type = template.Resources[target]?.Type ?? '';
  const found = isCustom(type) ? undefined : schemaOf(type)?.attributes[attribute];
  if (found === undefined) return 'any';
  return found.type.type === 'array' ? 'list' : 'text';
}

function listsInText(sub: Intrinsic, path: string, template: Template): string[] {
  return referencesOf(sub)
    .filter(
      ({ target, attribute }) => attribute !== undefined && attributeGives(target, attribute, template) === 'list',
    )
    .map(({ target, attribute }) => `${path}: ${target}.${attribute} is a list, which Fn::Sub cannot put into a text`);
}

function forgottenSub(text: string, path: string, { Resources }: Template): string[] {
  return placeholders(text)
    .filter((name) => name.startsWith('AWS::') || Object.hasOwn(Resources, name.split('.')[0] ?? ''))
    .map((name) => `${path}: \${${name}} stands in a text that no Fn::Sub replaces it in`);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isOne(value: unknown, template: Template): boolean {
  const intrinsic = intrinsicOf(value);
  if (intrinsic === undefined) return ['string', 'number', 'boolean'].includes(typeof value);
  return givesOf(intrinsic, template) !== 'list';
}

function isMany(value: unknown, template: Template): boolean {
  const intrinsic = intrinsicOf(value);
  return intrinsic !== undefined && givesOf(intrinsic, template) !== 'text';
}
