import { isCustom, schemaOf } from './spec';
import { intrinsicOf, isMap, list, type Reference, referencesIn, type Template, valuesIn } from './template';

/** What a template refers to is there: resources, their attributes, conditions, mappings. And nothing waits for itself. */

const pseudoParameters = new Set(
  ['AccountId', 'NoValue', 'NotificationARNs', 'Partition', 'Region', 'StackId', 'StackName', 'URLSuffix'].map(
    (name) => `AWS::${name}`,
  ),
);

export function referenceFaults(template: Template): string[] {
  const { Resources, Outputs = {} } = template;
  const references = [...referencesIn(Resources, 'Resources'), ...referencesIn(Outputs, 'Outputs')];
  return [
    ...references.flatMap((reference) => unresolved(reference, template)),
    ...Object.entries(Resources).flatMap(([id, { DependsOn = [] }]) =>
      list(DependsOn)
        .filter((other) => !Object.hasOwn(Resources, String(other)))
        .map((other) => `Resources.${id}.DependsOn: there is no resource ${other}`),
    ),
    ...conditionFaults(template),
    ...mappingFaults(template),
    ...cycles(template).map((cycle) => `Resources: a circular dependency: ${cycle.join(' -> ')}`),
  ];
}

function unresolved({ path, target, attribute }: Reference, { Resources, Parameters = {} }: Template): string[] {
  const resource = Object.hasOwn(Resources, target) ? Resources[target] : undefined;
  if (attribute === undefined) {
    if (resource !== undefined || Object.hasOwn(Parameters, target) || pseudoParameters.has(target)) return [];
    return [`${path}: there is no resource or parameter ${target}`];
  }
  if (resource === undefined) return [`${path}: there is no resource ${target}`];
  if (isCustom(resource.Type) || resource.Type === 'AWS::CloudFormation::Stack') return [];
  const schema = schemaOf(resource.Type);
  if (schema === undefined || Object.hasOwn(schema.attributes, attribute)) return [];
  return [`${path}: ${target}, an ${resource.Type}, has no attribute ${attribute}`];
}

function conditionFaults({ Resources, Outputs = {}, Conditions = {} }: Template): string[] {
  const named = [
    ...Object.entries({ ...Resources }).map(([id, { Condition }]) => [`Resources.${id}.Condition`, Condition]),
    ...Object.entries(Outputs).map(([id, { Condition }]) => [`Outputs.${id}.Condition`, Condition]),
    ...[...valuesIn({ Resources, Outputs }, '')].flatMap(({ value, path }) => {
      const intrinsic = intrinsicOf(value);
      return intrinsic?.name === 'Fn::If' ? [[path.slice(1), list(intrinsic.argument)[0]]] : [];
    }),
    ...[...valuesIn(Conditions, 'Conditions')].flatMap(({ value, path }) =>
      isMap(value) && typeof value.Condition === 'string' ? [[path, value.Condition]] : [],
    ),
  ];
  return named
    .filter(([, condition]) => condition !== undefined && !Object.hasOwn(Conditions, String(condition)))
    .map(([path, condition]) => `${path}: there is no condition ${condition}`);
}

function mappingFaults({ Resources, Outputs = {}, Mappings = {} }: Template): string[] {
  return [...valuesIn({ Resources, Outputs }, '')].flatMap(({ value, path }) => {
    const intrinsic = intrinsicOf(value);
    if (intrinsic?.name !== 'Fn::FindInMap') return [];
    const [map] = list(intrinsic.argument);
    if (typeof map !== 'string' || Object.hasOwn(Mappings, map)) return [];
    return [`${path.slice(1)}: there is no mapping ${map}`];
  });
}

/** Circles of resources that wait for one another; of those that are knotted together at least one. */
function cycles({ Resources }: Template): string[][] {
  const waitsFor = new Map(
    Object.entries(Resources).map(([id, resource]) => {
      const targets = [...referencesIn(resource, id)].map(({ target }) => target);
      const named = list(resource.DependsOn ?? []).map(String);
      return [id, [...new Set([...targets, ...named])].filter((target) => Object.hasOwn(Resources, target))];
    }),
  );
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (id: string, way: string[]) => {
    const before = way.indexOf(id);
    if (before !== -1) found.push([...way.slice(before), id]);
    if (before !== -1 || done.has(id)) return;
    for (const next of waitsFor.get(id) ?? []) visit(next, [...way, id]);
    done.add(id);
  };
  for (const id of waitsFor.keys()) visit(id, []);
  return found;
}
