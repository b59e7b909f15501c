// Connections to pods that are about to be ready, opened while requests wait for them: opening takes most of the time
// that sending hundreds of held requests takes. Nothing depends on it; what is not open by then is opened when it is used.
import { setMaxListeners } from 'node:events';
import { Backoff } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { PoolKey } from '../pool.ts';
import type { Backend, Endpoint } from './backend.ts';
import type { PodAddress } from './connections.ts';

export interface OpenAheadOptions {
  backend: Pick<Backend, 'starting' | 'subscribe'>;
  /** Requests that wait for a pod of the pool. */
  waiting: (pool: PoolKey) => number;
  /** Sees to it that so many connections wait for a request. Rejects when the pod does not listen yet. */
  open: (address: PodAddress, count: number, signal: AbortSignal) => Promise<void>;
  clock: Clock;
  log: Logger;
}

/** Per pod. A kubelet asks a pod once a second whether it is ready: there is time for about as many. */
const maxConnections = 512;
/** Between two looks at a pod: at how many wait, and whether it listens by now. */
const look = { firstMs: 100, maxMs: 250 };

export class OpenAhead {
  readonly #options: OpenAheadOptions;
  readonly #followed = new Map<Endpoint, Promise<void>>();
  readonly #unsubscribe: () => void;
  readonly #stop = new AbortController();

  constructor(options: OpenAheadOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stop.signal); // each connection that is being opened
    this.#unsubscribe = options.backend.subscribe((change) => {
      if ('pool' in change) this.#follow(change.pool);
    });
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    this.#stop.abort();
    await Promise.all(this.#followed.values());
  }

  #follow(pool: PoolKey): void {
    for (const endpoint of this.#options.backend.starting(pool)) {
      if (this.#followed.has(endpoint)) continue;
      const done = this.#run(endpoint).finally(() => this.#followed.delete(endpoint));
      this.#followed.set(endpoint, done);
    }
  }

  /** As long as the pod is about to be ready. */
  async #run(endpoint: Endpoint): Promise<void> {
    const { backend, waiting, open, clock, log } = this.#options;
    const { signal } = this.#stop;
    const backoff = new Backoff(look);
    while (!signal.aborted && backend.starting(endpoint.pool).includes(endpoint)) {
      const count = Math.min(waiting(endpoint.pool), maxConnections);
      try {
        if (count > 0) await open(endpoint, count, signal);
      } catch (err) {
        log.debug({ err, pod: endpoint.id }, 'pod does not listen yet');
      }
      await clock.delay(backoff.next(), signal).catch(() => {});
    }
  }
}
