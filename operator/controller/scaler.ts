// Each second and pool: how many pods, decided purely, written on /scale; those that go are closed first. The only writer
// of replicas besides the gateways' wake from zero. Every write is guarded by the resourceVersion it was decided on.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import { durationMs } from '../../crds/common.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { type Deployment, type Pod, refOf, resources } from '../kube/resources.ts';
import type { PoolKey } from '../pool.ts';
import { decideReplicas, type ScaleReason } from '../scale.ts';
import { judge } from '../verdict.ts';
import type { DemandView } from './demand.ts';
import { Lately } from './lately.ts';
import type { ControllerMetrics } from './metrics.ts';
import { closing, type DrainPlan, isClosed, opening, planDrain, releasing } from './plan/drain.ts';
import { isTerminating } from './plan/pods.ts';
import { drainFacts, isAtRest, type PoolFacts, poolActivity } from './plan/pool-activity.ts';
import { scalerFieldManager } from './replicas.ts';
import type { World } from './world.ts';

export interface ScalerOptions {
  world: World;
  client: KubeClient;
  clock: Clock;
  log: Logger;
  metrics: ControllerMetrics;
}

export class Scaler {
  readonly #options: ScalerOptions;
  readonly #needed: Lately;

  constructor(options: ScalerOptions) {
    this.#options = options;
    this.#needed = new Lately(options.clock.now());
  }

  /**
   * Brings every pool closer to the replicas that `demand` asks for. True while pods are on their way out: look again
   * soon. Rejects only when `signal` fires.
   */
  async step(demand: DemandView, signal: AbortSignal): Promise<boolean> {
    const { clock, world } = this.#options;
    const pools = world.pools();
    this.#needed.retain(pools);
    const look = { demand, leased: world.leased(clock.now()) };
    const draining = await Promise.all(
      [...pools].map(([pool, models]) => this.#scale(pool, { models, ...look }, signal)),
    );
    signal.throwIfAborted();
    return draining.some(Boolean);
  }

  async #scale(
    pool: PoolKey,
    { models, demand, leased }: Pick<PoolFacts, 'models' | 'demand' | 'leased'>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, world } = this.#options;
    const deployment = world.deployments.get(pool);
    if (!deployment?.metadata?.resourceVersion) return false; // not made yet
    const now = clock.now();
    const facts = { deployment, models, demand, leased, pods: world.podsOf(pool), pool };
    if (isAtRest(facts)) return false;
    const decision = decideReplicas(poolActivity(facts, this.#needed, now), now);
    const plan = planDrain(drainFacts(facts, decision.replicas, this.#drainMs(models)), now);
    try {
      await this.#carryOut(plan, { pool, deployment, reason: decision.reason }, signal);
    } catch (err) {
      if (!signal.aborted && !isConflict(err) && !isNotFound(err)) {
        this.#options.log.error({ err, pool }, 'cannot scale');
      } // the next look decides anew
    }
    return plan.close.length > 0 || facts.pods.some((pod) => isClosed(pod) && !isTerminating(pod));
  }

  /** Pods are marked before the Deployment is asked for fewer or more. */
  async #carryOut(
    plan: DrainPlan,
    { pool, deployment, reason }: { pool: PoolKey; deployment: Deployment; reason: ScaleReason },
    signal: AbortSignal,
  ): Promise<void> {
    const { client, clock, log, metrics } = this.#options;
    for (const pod of plan.close) await this.#mark(pod, closing(clock.now()), signal);
    for (const pod of plan.open) await this.#mark(pod, opening, signal);
    for (const pod of plan.release) await this.#mark(pod, releasing, signal);
    const { replicas } = plan;
    const from = deployment.spec?.replicas ?? 0;
    if (replicas === from) return;
    const { resourceVersion = '' } = deployment.metadata ?? {};
    const scale = { replicas, resourceVersion, fieldManager: scalerFieldManager };
    await client.setScale(resources.deployments, refOf(deployment), scale, signal);
    metrics.scaled(reason);
    log.info({ pool, from, to: replicas, reason }, 'scaled');
  }

  async #mark(pod: Pod, change: object, signal: AbortSignal): Promise<void> {
    const { client, metrics, world } = this.#options;
    world.pods.store(await client.patch(resources.pods, refOf(pod), change, signal));
    metrics.wrote('Pod', 'patch');
  }

  #drainMs([first]: readonly ReferenceModel[]): number {
    const { gpuClass } = first ? judge(first, this.#options.world.classes.list()) : {};
    return durationMs(gpuClass?.spec.rollout.drainTimeout ?? '2m'); // of a class that is gone: the default
  }
}
