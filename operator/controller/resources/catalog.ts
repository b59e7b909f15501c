// The ConfigMap with the catalog of a pool, and the ServiceAccount that its pods run as. Pure.

import { buildCatalog, podVolumeRoot } from '../../catalog.ts';
import type { ConfigMap, ServiceAccount } from '../../kube/resources.ts';
import { poolObjects } from '../../pool.ts';
import { owners, poolLabels } from './meta.ts';
import type { PoolPlan } from './pool-plan.ts';

export const catalogFile = 'catalog.json';

export function catalogConfigMap({ namespace, pool, models }: PoolPlan): ConfigMap {
  return {
    metadata: {
      name: poolObjects(pool).catalog,
      namespace,
      labels: poolLabels(pool),
      ownerReferences: owners(models),
    },
    data: { [catalogFile]: `${JSON.stringify(buildCatalog(models, podVolumeRoot), null, 2)}\n` },
  };
}

/** Bears no rights; its token is mounted nowhere. */
export function serviceAccount({ namespace, pool, models }: PoolPlan): ServiceAccount {
  return {
    metadata: {
      name: poolObjects(pool).serviceAccount,
      namespace,
      labels: poolLabels(pool),
      ownerReferences: owners(models),
    },
    automountServiceAccountToken: false,
  };
}
