import type { Packaged } from '../package';
import { list, ofType, textOf } from '../template';

/** The network: nothing in it is public in private mode, and there is none elsewhere. */
export function isAsPublicAsSaid({ template, combination: { broker } }: Packaged): string[] {
  const { PubliclyAccessible, SubnetIds, SecurityGroups, DeploymentMode } = template.Resources.Broker?.Properties ?? {};
  const inNetwork = Object.entries(template.Resources).filter(([, { Type }]) => Type.startsWith('AWS::EC2::'));
  if (broker !== 'managed private') {
    return [
      ...inNetwork.map(([id]) => `${id}: a network that nobody asked for`),
      ...(PubliclyAccessible === (broker === 'managed public' ? true : undefined) ? [] : ['Broker: is not public']),
    ];
  }
  const open = openSubnets(template);
  const used = [
    ...list(SubnetIds ?? []).map((subnet) => ['Broker', textOf(subnet)]),
    ...ofType(template, 'AWS::Lambda::Function').flatMap(([id, { VpcConfig }]) =>
      list(VpcConfig?.SubnetIds ?? []).map((subnet) => [id, textOf(subnet)]),
    ),
  ];
  return [
    ...(PubliclyAccessible === false ? [] : ['Broker: is public']),
    ...(list(SubnetIds ?? []).length === 2 && list(SecurityGroups ?? []).length > 0
      ? []
      : ['Broker: is not in two subnets']),
    ...(DeploymentMode === 'CLUSTER_MULTI_AZ' ? [] : [`Broker: is a ${DeploymentMode}`]),
    ...used
      .filter(([, subnet]) => open.has(subnet ?? ''))
      .map(([id, subnet]) => `${id}: is in ${subnet}, which is public`),
    ...ofType(template, 'AWS::EC2::Subnet')
      .filter(([, { MapPublicIpOnLaunch }]) => MapPublicIpOnLaunch === true)
      .map(([id]) => `${id}: gives public addresses`),
    ...ingress(template)
      .filter(
        ([, { CidrIp, CidrIpv6, FromPort }]) => CidrIp !== undefined || CidrIpv6 !== undefined || FromPort !== 5671,
      )
      .map(([id]) => `${id}: admits other than a group of ours on 5671`),
    ...waysOut(template)
      .filter((id) => !list(template.Resources.Topology?.DependsOn ?? []).includes(id))
      .map((id) => `Topology: does not wait for ${id}, without which its function reaches nothing, nor at removal`),
  ];
}

type PackagedTemplate = Packaged['template'];

/** Subnets whose routes lead to an internet gateway. */
function openSubnets(template: PackagedTemplate): Set<string> {
  const tables = new Set(
    ofType(template, 'AWS::EC2::Route')
      .filter(([, { GatewayId }]) => GatewayId !== undefined)
      .map(([, { RouteTableId }]) => textOf(RouteTableId)),
  );
  return new Set(
    ofType(template, 'AWS::EC2::SubnetRouteTableAssociation')
      .filter(([, { RouteTableId }]) => tables.has(textOf(RouteTableId)))
      .map(([, { SubnetId }]) => textOf(SubnetId)),
  );
}

function ingress(template: PackagedTemplate): [id: string, rule: Record<string, unknown>][] {
  return [
    ...ofType(template, 'AWS::EC2::SecurityGroup').flatMap(([id, { SecurityGroupIngress = [] }]) =>
      SecurityGroupIngress.map((rule: Record<string, unknown>) => [id, rule]),
    ),
    ...ofType(template, 'AWS::EC2::SecurityGroupIngress'),
  ];
}

/** Default routes of the private subnets, and what ties any subnet to its routes: those of the NAT gateways too. */
function waysOut(template: PackagedTemplate): string[] {
  const routes = ofType(template, 'AWS::EC2::Route').filter(([, { NatGatewayId }]) => NatGatewayId !== undefined);
  return [...routes, ...ofType(template, 'AWS::EC2::SubnetRouteTableAssociation')].map(([id]) => id);
}
