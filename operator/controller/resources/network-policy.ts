// The NetworkPolicy of a pool: who reaches its pods, and what they reach. Pure.
import type { NetworkPolicy } from '../../kube/resources.ts';
import { poolObjects } from '../../pool.ts';
import { poolMeta, poolSelector } from './meta.ts';
import type { PoolPlan, PoolTraffic } from './pool-plan.ts';

export function poolNetworkPolicy(plan: PoolPlan, { ingress, egress }: PoolTraffic): NetworkPolicy {
  return {
    metadata: poolMeta(plan, poolObjects(plan.pool).networkPolicy),
    spec: {
      podSelector: { matchLabels: poolSelector(plan.pool) },
      policyTypes: ['Ingress', 'Egress'], // named, so that a list without rules lets nothing through
      ingress,
      egress,
    },
  };
}
