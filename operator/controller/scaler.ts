// Each second and pool: how many pods, decided purely, written on /scale; those that go are closed first. The only writer
// of replicas besides the gateways' wake from zero. Every write is guarded by the resourceVersion it was decided on.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import { durationMs } from '../../crds/common.ts';
import type { GPUClass } from '../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { type Deployment, type Pod, refOf, resources } from '../kube/resources.ts';
import { type PoolKey, splitKey } from '../pool.ts';
import { decideReplicas, type ScaleReason } from '../scale.ts';
import { judge } from '../verdict.ts';
import type { DemandView } from './demand.ts';
import { Lately } from './lately.ts';
import type { ControllerMetrics } from './metrics.ts';
import { closing, type DrainPlan, isClosed, opening, planDrain, releasing } from './plan/drain.ts';
import { isTerminating } from './plan/pods.ts';
import { drainFacts, isAtRest, type PoolFacts, poolActivity } from './plan/pool-activity.ts';
import { type StartingPool, StartRoom } from './plan/start-room.ts';
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
    const room = new StartRoom(this.#starting(pools));
    const look = { demand, leased: world.leased(clock.now()), room };
    const draining = await Promise.all(
      [...pools].map(([pool, models]) => this.#scale(pool, { models, ...look }, signal)),
    );
    signal.throwIfAborted();
    return draining.some(Boolean);
  }

  async #scale(
    pool: PoolKey,
    { room, ...look }: Pick<PoolFacts, 'models' | 'demand' | 'leased'> & { room: StartRoom },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { world } = this.#options;
    const deployment = world.deployments.get(pool);
    if (!deployment?.metadata?.resourceVersion) return false; // not made yet
    const pods = world.podsOf(pool);
    const facts = { ...look, deployment, pods, pool };
    if (isAtRest(facts)) return false;
    const { plan, reason } = this.#plan(facts, room);
    try {
      await this.#carryOut(plan, { pool, deployment, reason }, signal);
    } catch (err) {
      if (!signal.aborted && !isConflict(err) && !isNotFound(err)) {
        this.#options.log.error({ err, pool }, 'cannot scale');
      } // the next look decides anew
    }
    return plan.close.length > 0 || pods.some((pod) => isClosed(pod) && !isTerminating(pod));
  }

  #plan(facts: PoolFacts, room: StartRoom): { plan: DrainPlan; reason: ScaleReason } {
    const { pool, deployment, models, pods } = facts;
    const now = this.#options.clock.now();
    const { replicas: wanted, reason } = decideReplicas(
      poolActivity(facts, this.#needed, now),
      now,
    );
    const gpuClass = this.#classOf(models);
    const plan = planDrain(drainFacts(facts, wanted, drainMs(gpuClass)), now);
    const from = deployment.spec?.replicas ?? 0;
    const more = plan.replicas - from;
    if (more <= 0) return { plan, reason };
    const { namespace } = splitKey(pool);
    const granted = room.take({ namespace, gpuClass, deployment, pods }, more);
    return { plan: { ...plan, replicas: from + granted }, reason };
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

  /** The pools of classes that bound how many pods start at a time. */
  *#starting(pools: ReturnType<World['pools']>): Generator<StartingPool> {
    const { world } = this.#options;
    if (world.classes.list().every(({ spec }) => spec.maxStarting === undefined)) return;
    for (const [pool, models] of pools) {
      const deployment = world.deployments.get(pool);
      if (!deployment?.spec?.replicas) continue;
      const { namespace } = splitKey(pool);
      const gpuClass = this.#classOf(models);
      yield { namespace, gpuClass, deployment, pods: world.podsOf(pool) };
    }
  }

  /** Undefined for one that is gone. */
  #classOf([first]: readonly ReferenceModel[]): GPUClass | undefined {
    return first && judge(first, this.#options.world.classes.list()).gpuClass;
  }
}

/** Of a class that is gone: the default. */
const drainMs = (gpuClass: GPUClass | undefined): number =>
  durationMs(gpuClass?.spec.rollout.drainTimeout ?? '2m');
