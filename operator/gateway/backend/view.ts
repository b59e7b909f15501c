// Kubernetes objects → what the gateway knows of them. Pure.

import { type Condition, durationMs, quantityValue } from '../../../crds/common.ts';
import type { GPUClass } from '../../../crds/gpu-class.ts';
import type {
  ConditionType,
  ReferenceModel,
  ReferenceModelSpec,
} from '../../../crds/reference-model.ts';
import type { EndpointSlice } from '../../kube/resources.ts';
import {
  classOf,
  hasLarger,
  labelNames,
  modelKey,
  objectKey,
  type PoolKey,
  poolName,
  poolWithoutClass,
  serverPort,
} from '../../pool.ts';
import { refusal } from '../../verdict.ts';
import type { Acceptance, Endpoint, GatewayModel } from '../backend.ts';

export function gatewayModel(model: ReferenceModel, classes: readonly GPUClass[]): GatewayModel {
  const found = classOf(model, classes);
  const gpuClass = 'gpuClass' in found ? found.gpuClass : undefined;
  const { scaling, limits } = model.spec;
  const contextTokens = model.status?.model?.contextTokens ?? Number.POSITIVE_INFINITY;
  return {
    key: modelKey(model),
    pool: gpuClass
      ? objectKey(model.metadata.namespace, poolName(model, gpuClass.metadata.name))
      : poolWithoutClass(model),
    acceptance: refused(model) ?? acceptanceOf(model),
    access: model.spec.access,
    hasLarger: gpuClass !== undefined && hasLarger(model, gpuClass, classes),
    concurrency: scaling.concurrency,
    hold: holdOf(model.spec),
    maxSequenceTokens: Math.min(limits.maxSequenceTokens, contextTokens),
    maxModels: gpuClass?.spec.maxModels ?? 1,
  };
}

/** What of the requests that wait for it its spec says. */
export const holdOf = ({ hold }: ReferenceModelSpec): GatewayModel['hold'] => ({
  timeoutMs: hold.timeout === undefined ? undefined : durationMs(hold.timeout),
  maxRequests: hold.maxRequests,
  maxBytes: quantityValue(hold.maxBytes),
});

/** Fails closed, whatever an operator of another version says. */
function refused(model: ReferenceModel): Acceptance | undefined {
  const problem = refusal(model);
  return problem && { state: 'Refused', message: problem.message };
}

/** The operator's judgement. One of an older spec is none. */
function acceptanceOf(model: ReferenceModel): Acceptance {
  const accepted = conditionOf(model, 'Accepted');
  const { generation } = model.metadata;
  const isCurrent = (accepted?.observedGeneration ?? generation) === generation;
  if (!accepted || !isCurrent || accepted.status === 'Unknown') return { state: 'Unknown' };
  if (accepted.status === 'True') return { state: 'Accepted' };
  return { state: 'Refused', message: `${accepted.reason}: ${accepted.message}` };
}

export const conditionOf = (model: ReferenceModel, type: ConditionType): Condition | undefined =>
  model.status?.conditions?.find((condition) => condition.type === type);

/** A model that exists and that this version cannot read: known, but refused. */
export const unreadableModel = (key: string): GatewayModel => ({
  key,
  pool: undefined,
  acceptance: { state: 'Refused', message: 'this version of refmodel cannot read the object' },
  access: 'Authenticated', // it may be what cannot be read
  hasLarger: false,
  concurrency: 1,
  hold: { timeoutMs: undefined, maxRequests: 1, maxBytes: 1 },
  maxSequenceTokens: 0,
  maxModels: 1,
});

/** The pool that a slice belongs to: one, or none without our label. */
export function poolsOf(slice: EndpointSlice): PoolKey[] {
  const pool = slice.metadata?.labels?.[labelNames.pool];
  const namespace = slice.metadata?.namespace;
  return pool && namespace ? [objectKey(namespace, pool)] : [];
}

/** The endpoints of a pool. Terminating ones are neither. */
export interface PoolEndpoints {
  readonly ready: readonly Endpoint[];
  readonly starting: readonly Endpoint[];
}

/** Each by id. A pod that has several addresses counts once. Objects of `before` that still hold are kept. */
export function poolEndpoints(
  pool: PoolKey,
  slices: readonly EndpointSlice[],
  before: PoolEndpoints,
): PoolEndpoints {
  const endpoints = slices.flatMap((slice) => endpointsOf(pool, slice));
  return {
    ready: collect(
      endpoints.filter(({ isReady }) => isReady),
      before.ready,
    ),
    starting: collect(
      endpoints.filter(({ isReady }) => !isReady),
      before.starting,
    ),
  };
}

function collect(found: readonly Found[], before: readonly Endpoint[]): readonly Endpoint[] {
  const byId = new Map<string, Endpoint>();
  for (const { endpoint } of found) if (!byId.has(endpoint.id)) byId.set(endpoint.id, endpoint);
  const keep = (now: Endpoint) => before.find((old) => isSame(old, now)) ?? now;
  return [...byId.values()].map(keep).sort((a, b) => (a.id < b.id ? -1 : 1));
}

interface Found {
  endpoint: Endpoint;
  isReady: boolean;
}

function endpointsOf(pool: PoolKey, slice: EndpointSlice): Found[] {
  const port = slice.ports?.[0]?.port ?? serverPort;
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, targetRef }) => {
    const [host] = addresses;
    if (!host || conditions?.terminating === true) return [];
    const endpoint = { id: targetRef?.name ?? host, pool, host, port };
    return [{ endpoint, isReady: conditions?.ready !== false }];
  });
}

const isSame = (a: Endpoint, b: Endpoint): boolean =>
  a.id === b.id && a.host === b.host && a.port === b.port;
