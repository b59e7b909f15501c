// Labels and owners of what the operator makes: how an object is recognised as ours, and by whom it lives. Pure.
import { apiVersion, type ReferenceModel } from '../../../crds/reference-model.ts';
import type { Deployment } from '../../kube/resources.ts';
import { labelNames, managedBy, traffic } from '../../pool.ts';
import type { PoolPlan } from './pool-plan.ts';

export type OwnerReference = NonNullable<
  NonNullable<Deployment['metadata']>['ownerReferences']
>[number];

/** What `isOurs` looks at; every kind of object has it. */
export interface Labelled {
  metadata?: { labels?: Record<string, string>; ownerReferences?: OwnerReference[] };
}

/** One per model, sorted by name. Plain owners: none of them controls the object or blocks on it. */
export function owners(models: readonly ReferenceModel[]): OwnerReference[] {
  return models
    .map(({ metadata: { name, uid } }) => ({ apiVersion, kind: 'ReferenceModel', name, uid }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export const poolLabels = (pool: string): Record<string, string> => ({
  [labelNames.managedBy]: managedBy,
  [labelNames.appName]: 'refmodel',
  [labelNames.component]: 'server',
  [labelNames.pool]: pool,
});

export const poolSelector = (pool: string): Record<string, string> => ({ [labelNames.pool]: pool });

/** Of the pool's pods, those that take requests. */
export const trafficSelector = (pool: string): Record<string, string> => ({
  ...poolSelector(pool),
  [labelNames.traffic]: traffic.open,
});

export const modelLabels = (name: string): Record<string, string> => ({
  [labelNames.managedBy]: managedBy,
  [labelNames.appName]: 'refmodel',
  [labelNames.component]: 'address',
  [labelNames.model]: name,
});

/** True when `live` was made for the same pool or model as `desired` and still belongs to a ReferenceModel. */
export function isOurs(live: Labelled, desired: Labelled): boolean {
  const labels = live.metadata?.labels ?? {};
  const wanted = desired.metadata?.labels ?? {};
  const identity = [labelNames.managedBy, labelNames.pool, labelNames.model];
  return (
    identity.every((name) => labels[name] === wanted[name]) &&
    (live.metadata?.ownerReferences ?? []).some(
      (owner) => owner.kind === 'ReferenceModel' && owner.apiVersion === apiVersion,
    )
  );
}

/** Of an object of a pool: found by its label, and gone with the last of its models. */
export const poolMeta = ({ namespace, pool, models }: PoolPlan, name: string) => ({
  name,
  namespace,
  labels: poolLabels(pool),
  ownerReferences: owners(models),
});
