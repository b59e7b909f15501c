// Which pool a model belongs to, and the name of every child object: computed here and nowhere else. Pure.
import { quantityValue } from '../crds/common.ts';
import { type GPUClass, isDefaultClass } from '../crds/gpu-class.ts';
import { group, type ReferenceModel } from '../crds/reference-model.ts';

/** "<namespace>/<name>" of a ReferenceModel. */
export type ModelKey = string;
/** "<namespace>/<Deployment name>" of a pool. */
export type PoolKey = string;

export const modelKey = (model: ReferenceModel): ModelKey =>
  `${model.metadata.namespace}/${model.metadata.name}`;

export const objectKey = (namespace: string, name: string): string => `${namespace}/${name}`;

export function splitKey(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}

export const managedBy = 'refmodel';
export const labelNames = {
  managedBy: 'app.kubernetes.io/managed-by',
  appName: 'app.kubernetes.io/name',
  component: 'app.kubernetes.io/component',
  /** On everything of a pool, its EndpointSlices and pods included. Value: the pool's name. */
  pool: `${group}/pool`,
  /** On a pod: whether its pool's Service leads to it. See `traffic`. */
  traffic: `${group}/traffic`,
  /** On a model's own Service. Value: the model's name. */
  model: `${group}/model`,
} as const;

/** Values of the label. A pod that is to go is closed first, and deleted once no gateway has a request at it. */
export const traffic = { open: 'open', closed: 'closed' } as const;

export const serverPort = 8080;
export const gatewayPort = 8080;
/** Health, metrics and the demand report of a gateway; health and metrics of the operator. */
export const adminPort = 8081;

export interface NoClass {
  reason: 'ClassNotFound' | 'NoDefaultClass' | 'NoClassFits';
  message: string;
}

/** The class that a model runs on: the named one, else the default one or, where that was too small, a larger one. */
export function classOf(
  model: ReferenceModel,
  classes: readonly GPUClass[],
): { gpuClass: GPUClass } | NoClass {
  const wanted = model.spec.gpuClass;
  if (wanted === undefined) return anyClass(model, classes);
  const found = classes.find((c) => c.metadata.name === wanted);
  if (found) return { gpuClass: found };
  const known =
    classes
      .map((c) => c.metadata.name)
      .sort()
      .join(', ') || 'none';
  return {
    reason: 'ClassNotFound',
    message: `GPUClass "${wanted}" does not exist; there are: ${known}`,
  };
}

function anyClass(
  { metadata, status }: ReferenceModel,
  classes: readonly GPUClass[],
): { gpuClass: GPUClass } | NoClass {
  const [first] = classes.filter(isDefaultClass).sort(byName);
  if (!first) {
    return {
      reason: 'NoDefaultClass',
      message: 'spec.gpuClass is not set and no GPUClass is the default',
    };
  }
  const outgrown = status?.outgrown;
  if (outgrown?.observedGeneration !== metadata.generation) return { gpuClass: first };
  const next = nextLarger(first, quantityValue(outgrown.memory), classes);
  if (next) return { gpuClass: next };
  const message = `the model does not fit GPUClass "${outgrown.gpuClass}", and none is larger`;
  return { reason: 'NoClassFits', message };
}

/** True when the model is served on another class once a pod of this one has said that it can never fit. */
export const hasLarger = (
  { spec }: ReferenceModel,
  gpuClass: GPUClass,
  classes: readonly GPUClass[],
): boolean =>
  spec.gpuClass === undefined && nextLarger(gpuClass, memoryOf(gpuClass), classes) !== undefined;

/** Of the provider of `like`, the class with the least memory above `bytes`. */
function nextLarger(
  { spec: { executionProvider } }: GPUClass,
  bytes: number,
  classes: readonly GPUClass[],
): GPUClass | undefined {
  const [next] = classes
    .filter((c) => c.spec.executionProvider === executionProvider && memoryOf(c) > bytes)
    .sort((a, b) => memoryOf(a) - memoryOf(b) || byName(a, b));
  return next;
}

const memoryOf = ({ spec }: GPUClass): number => quantityValue(spec.memory);

const byName = (a: GPUClass, b: GPUClass) => (a.metadata.name < b.metadata.name ? -1 : 1);

/** The pool of a model on a class: shared by namespace and class, or its own. */
export function poolName(model: ReferenceModel, className: string): string {
  return model.spec.placement === 'Dedicated'
    ? `rfm-model-${model.metadata.name}`
    : `rfm-pool-${className}`;
}

/** The pool that the model is in although its class is gone: the pool goes on with what the class said last. */
export function poolWithoutClass(model: ReferenceModel): PoolKey | undefined {
  const className = model.spec.gpuClass ?? model.status?.gpuClass;
  return className && objectKey(model.metadata.namespace, poolName(model, className));
}

/** Names of a pool's objects, all in the namespace of its models. */
export const poolObjects = (pool: string) => ({
  deployment: pool,
  service: pool,
  serviceAccount: pool,
  catalog: `${pool}-catalog`,
  networkPolicy: pool,
});

/** The address of a model inside the cluster, reached through its own Service. */
export const modelUrl = (key: ModelKey): string => {
  const { namespace, name } = splitKey(key);
  return `http://${name}.${namespace}.svc`;
};
