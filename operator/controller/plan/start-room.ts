// How many pods may still be started in one look, where a class bounds how many of a namespace start at a time. Pure.
import type { GPUClass } from '../../../crds/gpu-class.ts';
import type { Deployment, Pod } from '../../kube/resources.ts';
import { failureOf, isReady, isTerminating } from './pods.ts';

export interface StartingPool {
  namespace: string;
  /** Undefined for a class that is gone. */
  gpuClass: GPUClass | undefined;
  deployment: Deployment;
  pods: readonly Pod[];
}

export class StartRoom {
  /** Pods that start, by namespace and class. */
  readonly #starting = new Map<string, number>();

  constructor(pools: Iterable<StartingPool>) {
    for (const pool of pools) this.#add(pool, startingOf(pool));
  }

  /** Of `wanted` more pods, as many as may be started now; they count from then on. */
  take(pool: StartingPool, wanted: number): number {
    const most = pool.gpuClass?.spec.maxStarting ?? Number.POSITIVE_INFINITY;
    const granted = Math.max(0, Math.min(wanted, most - (this.#starting.get(groupOf(pool)) ?? 0)));
    this.#add(pool, granted);
    return granted;
  }

  #add(pool: StartingPool, count: number): void {
    const group = groupOf(pool);
    this.#starting.set(group, (this.#starting.get(group) ?? 0) + count);
  }
}

const groupOf = ({ namespace, gpuClass }: StartingPool): string =>
  `${namespace}/${gpuClass?.metadata.name}`;

/** Those that cannot start keep no other from it, unless it is the want of a node that would keep that too. */
function startingOf({ deployment, pods }: StartingPool): number {
  const live = pods.filter((pod) => !isTerminating(pod));
  const isOver = (pod: Pod) => {
    const failure = failureOf(pod);
    return isReady(pod) || (failure !== undefined && failure.reason !== 'Unschedulable');
  };
  const wanted = deployment.spec?.replicas ?? 0;
  return Math.max(0, Math.max(wanted, live.length) - live.filter(isOver).length);
}
