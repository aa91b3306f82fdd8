import type { Parameters } from '../parameters';
import { getAtt, type Output, type Resources, ref, sub, type Value } from './intrinsics';

/**
 * The network of a private broker: two availability zones, each with a private subnet (the broker, the functions that
 * publish, and the event source mappings) and a public one with the way out. It must lead to the internet and not only to
 * endpoints: the consumer posts to @connections, and a private endpoint for that would turn every public API away.
 */

/** What a function needs to run in the network; undefined where it needs none. */
export interface VpcConfig {
  subnetIds: Value[];
  securityGroupIds: Value[];
}

export function vpcConfig({ broker }: Parameters): VpcConfig | undefined {
  if (broker.kind === 'existing') return broker.network;
  if (broker.access === 'public') return undefined;
  return {
    subnetIds: zones.map((zone) => ref(`PrivateSubnet${zone}`)),
    securityGroupIds: [ref('FunctionSecurityGroup')],
  };
}

/** What must exist before a function in the network can reach anything, and as long as it must. */
export function wayOut({ broker }: Parameters): string[] {
  if (broker.kind !== 'managed' || broker.access !== 'private') return [];
  return zones.flatMap((zone) => [`PrivateRoute${zone}`, `PrivateSubnetRoutes${zone}`, `PublicSubnetRoutes${zone}`]);
}

/** What services need to join the network. */
export function networkOutputs({ broker }: Parameters): Record<string, Output> {
  if (broker.kind !== 'managed' || broker.access !== 'private') return {};
  const subnetIds: Value = { 'Fn::Join': [',', zones.map((zone) => ref(`PrivateSubnet${zone}`))] };
  return {
    VpcId: { Description: 'The network of the broker', Value: ref('Vpc') },
    PrivateSubnetIds: { Description: 'Its subnets, with a way out by NAT', Value: subnetIds },
    BrokerSecurityGroupId: { Description: 'Who may reach the broker', Value: ref('BrokerSecurityGroup') },
  };
}

const zones = [1, 2];

export function network({ broker, production, service, stage, availabilityZones }: Parameters): Resources {
  if (broker.kind !== 'managed' || broker.access !== 'private') return {};
  const name = (part: string) => [{ Key: 'Name', Value: `${service}-${stage}-${part}` }];
  return {
    Vpc: {
      Type: 'AWS::EC2::VPC',
      Properties: { CidrBlock: '10.0.0.0/16', EnableDnsSupport: true, EnableDnsHostnames: true, Tags: name('vpc') },
    },
    InternetGateway: { Type: 'AWS::EC2::InternetGateway', Properties: { Tags: name('gateway') } },
    InternetGatewayAttachment: {
      Type: 'AWS::EC2::VPCGatewayAttachment',
      Properties: { VpcId: ref('Vpc'), InternetGatewayId: ref('InternetGateway') },
    },
    PublicRoutes: { Type: 'AWS::EC2::RouteTable', Properties: { VpcId: ref('Vpc'), Tags: name('public') } },
    PublicRoute: {
      Type: 'AWS::EC2::Route',
      DependsOn: ['InternetGatewayAttachment'],
      Properties: {
        RouteTableId: ref('PublicRoutes'),
        DestinationCidrBlock: '0.0.0.0/0',
        GatewayId: ref('InternetGateway'),
      },
    },
    ...Object.assign({}, ...zones.map((zone) => zoneResources(zone, availabilityZones?.[zone - 1], production, name))),
    // Free, and what the functions write to the tables does not pass the NAT, which is paid by the gigabyte.
    TableEndpoint: {
      Type: 'AWS::EC2::VPCEndpoint',
      Properties: {
        VpcId: ref('Vpc'),
        VpcEndpointType: 'Gateway',
        ServiceName: sub('com.amazonaws.${AWS::Region}.dynamodb'),
        RouteTableIds: zones.map((zone) => ref(`PrivateRoutes${zone}`)),
      },
    },
    FunctionSecurityGroup: {
      Type: 'AWS::EC2::SecurityGroup',
      Properties: {
        GroupDescription: 'Functions of the gateway that use the broker',
        VpcId: ref('Vpc'),
        SecurityGroupEgress: [
          { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0', Description: 'AWS services' },
          { IpProtocol: 'tcp', FromPort: 5671, ToPort: 5671, CidrIp: '10.0.0.0/16', Description: 'the broker' },
        ],
      },
    },
    BrokerSecurityGroup: {
      Type: 'AWS::EC2::SecurityGroup',
      Properties: {
        GroupDescription: 'The broker; what it admits, it admits by TLS',
        VpcId: ref('Vpc'),
        SecurityGroupIngress: [
          { ...amqps, SourceSecurityGroupId: ref('FunctionSecurityGroup'), Description: 'functions of the gateway' },
        ],
        SecurityGroupEgress: [
          { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIp: '0.0.0.0/0', Description: 'AWS services' },
          { ...amqps, CidrIp: '10.0.0.0/16', Description: 'event source mappings to the broker' },
        ],
      },
    },
    // Event source mappings run with the broker's own group. Apart from the group, which cannot name itself.
    BrokerSelfIngress: {
      Type: 'AWS::EC2::SecurityGroupIngress',
      Properties: {
        ...amqps,
        GroupId: getAtt('BrokerSecurityGroup', 'GroupId'),
        SourceSecurityGroupId: getAtt('BrokerSecurityGroup', 'GroupId'),
        Description: 'event source mappings',
      },
    },
  };
}

const amqps = { IpProtocol: 'tcp', FromPort: 5671, ToPort: 5671 };

/** In production each zone has a way out of its own; elsewhere both share the first one's. */
function zoneResources(
  zone: number,
  chosenZone: string | undefined,
  production: boolean,
  name: (part: string) => { Key: string; Value: string }[],
): Resources {
  const zoneName = chosenZone ?? { 'Fn::Select': [zone - 1, { 'Fn::GetAZs': '' }] };
  const hasNat = zone === 1 || production;
  const nat: Resources = {
    [`NatAddress${zone}`]: {
      Type: 'AWS::EC2::EIP',
      DependsOn: ['InternetGatewayAttachment'],
      Properties: { Domain: 'vpc', Tags: name(`nat-${zone}`) },
    },
    [`Nat${zone}`]: {
      Type: 'AWS::EC2::NatGateway',
      DependsOn: ['PublicRoute'],
      Properties: {
        SubnetId: ref(`PublicSubnet${zone}`),
        AllocationId: getAtt(`NatAddress${zone}`, 'AllocationId'),
        Tags: name(`nat-${zone}`),
      },
    },
  };
  return {
    [`PublicSubnet${zone}`]: {
      Type: 'AWS::EC2::Subnet',
      Properties: {
        VpcId: ref('Vpc'),
        AvailabilityZone: zoneName,
        CidrBlock: `10.0.${zone}.0/24`,
        Tags: name(`public-${zone}`),
      },
    },
    [`PublicSubnetRoutes${zone}`]: {
      Type: 'AWS::EC2::SubnetRouteTableAssociation',
      Properties: { SubnetId: ref(`PublicSubnet${zone}`), RouteTableId: ref('PublicRoutes') },
    },
    ...(hasNat ? nat : {}),
    [`PrivateSubnet${zone}`]: {
      Type: 'AWS::EC2::Subnet',
      Properties: {
        VpcId: ref('Vpc'),
        AvailabilityZone: zoneName,
        // Every function instance shares a few addresses, so 4,000 are plenty.
        CidrBlock: `10.0.${zone * 16}.0/20`,
        Tags: name(`private-${zone}`),
      },
    },
    [`PrivateRoutes${zone}`]: {
      Type: 'AWS::EC2::RouteTable',
      Properties: { VpcId: ref('Vpc'), Tags: name(`private-${zone}`) },
    },
    [`PrivateRoute${zone}`]: {
      Type: 'AWS::EC2::Route',
      Properties: {
        RouteTableId: ref(`PrivateRoutes${zone}`),
        DestinationCidrBlock: '0.0.0.0/0',
        NatGatewayId: ref(`Nat${hasNat ? zone : 1}`),
      },
    },
    [`PrivateSubnetRoutes${zone}`]: {
      Type: 'AWS::EC2::SubnetRouteTableAssociation',
      Properties: { SubnetId: ref(`PrivateSubnet${zone}`), RouteTableId: ref(`PrivateRoutes${zone}`) },
    },
  };
}
