// Model key → the Service that is its address, and its status. The status is written once a run, only when it differs.
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { ReferenceModel, ReferenceModelStatus } from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { isRefused } from '../kube/errors.ts';
import { refOf, resources } from '../kube/resources.ts';
import { type ModelKey, modelKey } from '../pool.ts';
import { judge } from '../verdict.ts';
import type { Applier } from './apply.ts';
import { type DemandView, neverAsked } from './demand.ts';
import { eventsBetween, type Recorder } from './events.ts';
import type { ControllerMetrics } from './metrics.ts';
import type { ModelFacts } from './plan/facts.ts';
import { mergePatch } from './plan/merge-patch.ts';
import { planStatus } from './plan/status.ts';
import { modelService } from './resources/services.ts';
import type { Trouble, Troubles } from './troubles.ts';
import type { Result } from './workqueue.ts';
import { isDeleting, type World } from './world.ts';

export interface ModelReconcilerOptions {
  world: World;
  applier: Applier;
  client: KubeClient;
  clock: Clock;
  metrics: ControllerMetrics;
  recorder: Recorder;
  troubles: Troubles;
  /** What gateways report now. */
  demand: () => DemandView;
  /** Full DNS name of the gateways' Service. */
  gatewayHost: string;
}

export class ModelReconciler {
  readonly #options: ModelReconcilerOptions;

  constructor(options: ModelReconcilerOptions) {
    this.#options = options;
  }

  async reconcile(key: ModelKey, signal: AbortSignal): Promise<Result> {
    const model = this.#options.world.models.get(key);
    if (!model || isDeleting(model)) return {}; // what it owns goes with it
    const trouble = await this.#address(model, signal);
    const facts = this.#facts(model, trouble);
    await this.#writeStatus(model, planStatus(facts), signal);
    if (trouble) throw new AppError('NAME_TAKEN', trouble.message); // it may be freed: look again
    return {};
  }

  /** The Service with the model's own name, for accepted and refused models alike: callers learn the reason there. */
  async #address(model: ReferenceModel, signal: AbortSignal): Promise<Trouble | undefined> {
    const { applier, gatewayHost, world } = this.#options;
    const kind = { resource: resources.services, cache: world.services };
    const desired = modelService(model, gatewayHost);
    try {
      const live = await applier.find(kind, desired, signal);
      await applier.ensure(kind, { live, desired }, signal);
      return undefined;
    } catch (err) {
      signal.throwIfAborted();
      if (err instanceof AppError && err.code === 'NAME_TAKEN') {
        return { reason: 'NameTaken', message: err.message };
      }
      if (isRefused(err)) return { reason: 'ApplyFailed', message: err.message };
      throw err;
    }
  }

  #facts(model: ReferenceModel, trouble: Trouble | undefined): ModelFacts {
    const { clock, troubles, world } = this.#options;
    const verdict = judge(model, world.classes.list());
    const { pool = '' } = verdict; // no pool has an empty name
    const demand = this.#options.demand();
    const { asked, lastActivity } = demand.models.get(modelKey(model)) ?? neverAsked;
    return {
      model,
      verdict,
      problem: trouble ?? troubles.get(pool),
      deployment: world.deployments.get(pool),
      pods: world.podsOf(pool),
      states: demand.states.get(pool) ?? new Map(),
      asked,
      lastActivity,
      now: clock.now(),
    };
  }

  async #writeStatus(
    model: ReferenceModel,
    status: ReferenceModelStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { client, metrics, recorder, world } = this.#options;
    const change = mergePatch({ ...model.status }, { ...status });
    if (!change) return;
    const ref = refOf(model);
    const written = await client.patchStatus(resources.referenceModels, ref, change, signal);
    metrics.wrote('ReferenceModel', 'patch');
    if (status.coldStart && 'coldStart' in change) metrics.coldStart(status.coldStart);
    world.models.store(written);
    await recorder.record(model, eventsBetween(model.status, status), signal);
  }
}
