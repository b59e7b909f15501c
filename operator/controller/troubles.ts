// Why pools could not be made: written by the runs for pools, read by the runs for their models.
import type { PoolKey } from '../pool.ts';
import type { Problem } from '../verdict.ts';

export type Trouble = Problem & { reason: 'NameTaken' | 'ApplyFailed' };

export class Troubles {
  readonly #troubles = new Map<PoolKey, Trouble>();
  readonly #onChange: (pool: PoolKey) => void;

  constructor(onChange: (pool: PoolKey) => void) {
    this.#onChange = onChange;
  }

  get(pool: PoolKey): Trouble | undefined {
    return this.#troubles.get(pool);
  }

  set(pool: PoolKey, trouble: Trouble | undefined): void {
    if (this.#troubles.get(pool)?.message === trouble?.message) return;
    if (trouble) this.#troubles.set(pool, trouble);
    else this.#troubles.delete(pool);
    this.#onChange(pool);
  }
}
