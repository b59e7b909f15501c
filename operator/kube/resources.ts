// The kinds that operator and gateway talk about: where the API serves them and the type they have there.
// Knows no behaviour. Types are client-node's, with times as the strings that JSON carries.
import assert from 'node:assert/strict';
import type {
  EventsV1Event,
  V1ConfigMap,
  V1Deployment,
  V1EndpointSlice,
  V1Lease,
  V1NetworkPolicy,
  V1Pod,
  V1Scale,
  V1Service,
  V1ServiceAccount,
  V1SubjectAccessReview,
  V1TokenReview,
} from '@kubernetes/client-node';
import { type GPUClass, gpuClass } from '../../crds/gpu-class.ts';
import { group, type ReferenceModel, referenceModel, version } from '../../crds/reference-model.ts';

/** client-node's type as it is on the wire: dates are strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export interface KubeMeta {
  name?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: KubeMeta;
}

export interface Resource<T extends KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
  /** What the API sent as T; throws when it cannot be read. */
  parse(value: unknown): T;
}

export type Deployment = Wire<V1Deployment>;
export type Service = Wire<V1Service>;
export type ServiceAccount = Wire<V1ServiceAccount>;
export type ConfigMap = Wire<V1ConfigMap>;
export type Pod = Wire<V1Pod>;
export type NetworkPolicy = Wire<V1NetworkPolicy>;
export type EndpointSlice = Wire<V1EndpointSlice>;
export type Lease = Wire<V1Lease>;
export type TokenReview = Wire<V1TokenReview>;
export type SubjectAccessReview = Wire<V1SubjectAccessReview>;
export type Scale = Wire<V1Scale>;
export type Event = Wire<EventsV1Event>;

/** A kind of Kubernetes itself: its API server has checked the object, so it is taken as it comes. */
function builtIn<T extends KubeObject>(kind: string, plural: string, group = ''): Resource<T> {
  const isObject = (value: unknown): value is T => typeof value === 'object' && value !== null;
  return {
    group,
    version: 'v1',
    kind,
    plural,
    isNamespaced: true,
    parse(value) {
      assert(isObject(value), 'the API server sends objects');
      return value;
    },
  };
}

export const resources = {
  referenceModels: {
    group,
    version,
    kind: 'ReferenceModel',
    plural: 'referencemodels',
    isNamespaced: true,
    parse: (value) => referenceModel.parse(value),
  } satisfies Resource<ReferenceModel>,
  gpuClasses: {
    group,
    version,
    kind: 'GPUClass',
    plural: 'gpuclasses',
    isNamespaced: false,
    parse: (value) => gpuClass.parse(value),
  } satisfies Resource<GPUClass>,
  deployments: builtIn<Deployment>('Deployment', 'deployments', 'apps'),
  services: builtIn<Service>('Service', 'services'),
  serviceAccounts: builtIn<ServiceAccount>('ServiceAccount', 'serviceaccounts'),
  configMaps: builtIn<ConfigMap>('ConfigMap', 'configmaps'),
  pods: builtIn<Pod>('Pod', 'pods'),
  networkPolicies: builtIn<NetworkPolicy>('NetworkPolicy', 'networkpolicies', 'networking.k8s.io'),
  endpointSlices: builtIn<EndpointSlice>('EndpointSlice', 'endpointslices', 'discovery.k8s.io'),
  leases: builtIn<Lease>('Lease', 'leases', 'coordination.k8s.io'),
  events: builtIn<Event>('Event', 'events', 'events.k8s.io'),
  /** Questions: nothing of them is kept. */
  tokenReviews: {
    ...builtIn<TokenReview>('TokenReview', 'tokenreviews', 'authentication.k8s.io'),
    isNamespaced: false,
  },
  subjectAccessReviews: {
    ...builtIn<SubjectAccessReview>(
      'SubjectAccessReview',
      'subjectaccessreviews',
      'authorization.k8s.io',
    ),
    isNamespaced: false,
  },
  /** Only ever seen as the subresource of another kind. */
  scales: builtIn<Scale>('Scale', 'scales', 'autoscaling'),
};

export const apiVersionOf = (resource: Pick<Resource<KubeObject>, 'group' | 'version'>): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;

export interface ObjectRef {
  /** Left out for cluster-scoped kinds. */
  namespace?: string;
  name: string;
}

/** Path of a collection, or of one object in it (Kubernetes: "API Concepts, Resource URIs"). */
export function resourcePath(
  resource: Resource<KubeObject>,
  at: { namespace?: string; name?: string; subresource?: string },
): string {
  const root = resource.group === '' ? '/api' : `/apis/${resource.group}`;
  const parts = [root, resource.version];
  if (resource.isNamespaced && at.namespace !== undefined) parts.push('namespaces', at.namespace);
  parts.push(resource.plural);
  for (const part of [at.name, at.subresource]) {
    if (part !== undefined) parts.push(encodeURIComponent(part));
  }
  return parts.join('/');
}

export const refOf = (object: KubeObject): ObjectRef => ({
  name: object.metadata?.name ?? '',
  ...(object.metadata?.namespace && { namespace: object.metadata.namespace }),
});

/** "<namespace>/<name>", or "<name>" for cluster-scoped kinds: the key of caches and queues. */
export function keyOf(object: KubeObject): string {
  const { namespace, name = '' } = object.metadata ?? {};
  return namespace ? `${namespace}/${name}` : name;
}
