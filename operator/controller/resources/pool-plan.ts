// What the objects of a pool are built from. A type, no behaviour.
import type { ExecutionProvider, GPUClass } from '../../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { NetworkPolicy } from '../../kube/resources.ts';
import type { ModelKey } from '../../pool.ts';

export interface PoolPlan {
  namespace: string;
  /** Name of the pool. */
  pool: string;
  /** At least one. */
  models: readonly ReferenceModel[];
  gpuClass: GPUClass;
  /** Models that a run wants warm, of this pool or another. */
  leased: ReadonlySet<ModelKey>;
}

/** What is the same for every pool of a cluster. */
export interface PodSettings {
  /** For classes that name no image. */
  images: Readonly<Record<ExecutionProvider, string>>;
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets in the namespace of the models; the kubelet passes over one that is not there. */
  imagePullSecrets: readonly string[];
  /** Variables of the server beside those that its class decides. */
  env: Readonly<Record<string, string>>;
  /** What pods may talk to. Undefined: no NetworkPolicy is made, and none is kept. */
  traffic?: PoolTraffic | undefined;
}

/** The rules of a NetworkPolicy, both directions. */
export type PoolTraffic = Required<Pick<NonNullable<NetworkPolicy['spec']>, 'ingress' | 'egress'>>;
