// Who wants to know that a backend changed. Calls are synchronous and in order of subscription.
import type { BackendChange } from '../backend.ts';

export class Listeners {
  readonly #listeners = new Set<(change: BackendChange) => void>();

  add(listener: (change: BackendChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(change: BackendChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
