/** The CloudFormation resources of a service: the framework keeps them as fragments, one for each included file. */

export interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
}

export interface ResourceFragment {
  Resources?: Record<string, Resource>;
}

/** All of them by their logical ids. */
export function resourcesOf({
  resources = [],
}: {
  resources?: ResourceFragment | ResourceFragment[];
}): Record<string, Resource> {
  return Object.assign({}, ...[resources].flat().map((fragment) => fragment.Resources ?? {}));
}
