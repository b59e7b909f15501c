// What is asked for: requests in flight per model and endpoint, and when each model was last asked.
// It decides nothing; whoever scales reads the report.
import type { Clock } from '../../common/clock.ts';
import type { ModelDemand } from '../demand.ts';
import type { ModelKey } from '../pool.ts';
import type { Endpoint } from './backend.ts';

interface Usage {
  inFlight: number;
  /** Epoch milliseconds of the last arrival or end of a request that counts; undefined for none. */
  lastActivity: number | undefined;
}

export class Activity {
  readonly #clock: Clock;
  readonly #models = new Map<ModelKey, Usage>();
  readonly #endpoints = new Map<Endpoint, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request that keeps its model awake arrived or ended, whether a pod had it or not. */
  touch(model: ModelKey): void {
    this.#usage(model).lastActivity = this.#clock.now();
  }

  /** A request goes to an endpoint, and is in flight until disposed. */
  begin(model: ModelKey, endpoint: Endpoint): Disposable {
    this.#count(model, endpoint, 1);
    return { [Symbol.dispose]: () => this.#count(model, endpoint, -1) };
  }

  /** Requests in flight to the endpoint, of all models. */
  load(endpoint: Endpoint): number {
    return this.#endpoints.get(endpoint) ?? 0;
  }

  /** Every endpoint with a request in flight, those that are ready no longer among them. */
  busy(): ReadonlySet<Endpoint> {
    return new Set(this.#endpoints.keys());
  }

  /** Requests in flight for each model that was ever asked for. */
  inFlight(): { model: ModelKey; inFlight: number }[] {
    return [...this.#models].map(([model, { inFlight }]) => ({ model, inFlight }));
  }

  /** Forgets a model that is gone, once nothing of it is in flight. */
  forget(model: ModelKey): void {
    if (this.#models.get(model)?.inFlight === 0) this.#models.delete(model);
  }

  /** Every model that this process had a request for. `held` counts its waiters. */
  report(held: (model: ModelKey) => number): ModelDemand[] {
    return [...this.#models].map(([model, { inFlight, lastActivity }]) => ({
      model,
      inFlight,
      held: held(model),
      lastActivity: lastActivity === undefined ? null : new Date(lastActivity).toISOString(),
    }));
  }

  #usage(model: ModelKey): Usage {
    const usage: Usage = this.#models.get(model) ?? { inFlight: 0, lastActivity: undefined };
    this.#models.set(model, usage);
    return usage;
  }

  #count(model: ModelKey, endpoint: Endpoint, change: 1 | -1): void {
    this.#usage(model).inFlight += change;
    const load = this.load(endpoint) + change;
    if (load === 0) this.#endpoints.delete(endpoint);
    else this.#endpoints.set(endpoint, load);
  }
}
