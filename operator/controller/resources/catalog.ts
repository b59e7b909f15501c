// The ConfigMap with the catalog of a pool, and the ServiceAccount that its pods run as. Pure.

import { buildCatalog, podPlaces, withPreloads } from '../../catalog.ts';
import type { ConfigMap, ServiceAccount } from '../../kube/resources.ts';
import { poolObjects } from '../../pool.ts';
import { poolMeta } from './meta.ts';
import type { PoolPlan } from './pool-plan.ts';

export const catalogFile = 'catalog.json';

export function catalogConfigMap(plan: PoolPlan): ConfigMap {
  const catalog = withPreloads(buildCatalog(plan.models, podPlaces), plan.leased);
  return {
    metadata: poolMeta(plan, poolObjects(plan.pool).catalog),
    data: {
      [catalogFile]: `${JSON.stringify(catalog, null, 2)}\n`,
    },
  };
}

/** Bears no rights; its token is mounted nowhere. */
export function serviceAccount(plan: PoolPlan): ServiceAccount {
  return {
    metadata: poolMeta(plan, poolObjects(plan.pool).serviceAccount),
    automountServiceAccountToken: false,
  };
}
