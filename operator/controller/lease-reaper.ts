// Deletes the leases of runs that have expired: nobody heeds them, and a run that crashed does not end its own.
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { KubeClient } from '../kube/client.ts';
import { ignoreNotFound, isConflict } from '../kube/errors.ts';
import { type Lease, refOf, resources } from '../kube/resources.ts';
import { runLease } from '../kube/run-lease.ts';
import { isCurrent } from '../lease.ts';
import type { ControllerMetrics } from './metrics.ts';
import type { World } from './world.ts';

/** So much longer than its term a lease stays: clocks of processes differ. Milliseconds. */
const graceMs = 60_000;

export interface LeaseReaperOptions {
  world: Pick<World, 'leases'>;
  client: KubeClient;
  clock: Clock;
  log: Logger;
  metrics: ControllerMetrics;
}

export class LeaseReaper {
  readonly #options: LeaseReaperOptions;

  constructor(options: LeaseReaperOptions) {
    this.#options = options;
  }

  /** Rejects only when `signal` fires. */
  async step(signal: AbortSignal): Promise<void> {
    const { clock, world } = this.#options;
    const isOver = (object: Lease) => {
      const lease = runLease(object);
      return lease !== undefined && !isCurrent(lease, clock.now() - graceMs);
    };
    for (const object of world.leases.list().filter(isOver)) await this.#delete(object, signal);
  }

  async #delete(object: Lease, signal: AbortSignal): Promise<void> {
    const { client, log, metrics } = this.#options;
    const { uid, resourceVersion } = object.metadata ?? {};
    try {
      const unchanged = { uid, resourceVersion }; // it may have been renewed just now
      await client.delete(resources.leases, refOf(object), unchanged, signal).catch(ignoreNotFound);
      metrics.wrote('Lease', 'delete');
    } catch (err) {
      signal.throwIfAborted();
      if (!isConflict(err)) log.warn({ err }, 'cannot delete an expired lease');
    }
  }
}
