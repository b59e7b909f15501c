// The memory that models may take: refuses what can never fit, and makes room for what can, one after another.
// It does not know what takes it, nor how to end that.
import { abortable, withTimeout } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import type { Changes } from '../../changes.ts';
import type { CatalogModel } from '../../contract.ts';
import { type Bytes, describeBytes, fitsIn } from '../memory.ts';
import { type CacheLimits, planEviction, type Resident } from './eviction.ts';

export interface BudgetOptions<R extends Resident> {
  limits: CacheLimits;
  /** Time that a reservation waits for what is in use. */
  roomTimeoutMs: number;
  clock: Clock;
  /** What holds memory now, also what is closing; least recently used first. */
  residents: () => readonly R[];
  /** Told when `residents` may give something else. */
  changes: Changes;
  /** Ends those, and resolves when their memory is back. */
  evict: (victims: readonly R[]) => Promise<void>;
}

export class Budget<R extends Resident> {
  readonly #options: BudgetOptions<R>;
  /** Ends when the last reservation asked for so far is decided. */
  #reserved: Promise<unknown> = Promise.resolve();

  constructor(options: BudgetOptions<R>) {
    this.#options = options;
  }

  /** Throws MODEL_TOO_LARGE, with the numbers, for what would not fit if nothing else were there. */
  admit(model: CatalogModel, bytes: Bytes): void {
    const { memory } = this.#options.limits;
    if (fitsIn(bytes, memory)) return;
    const kind = bytes.device > memory.device ? 'device' : 'host';
    const wanted = `it needs ${describeBytes(bytes[kind])} of ${kind} memory`;
    const limit = `the limit is ${describeBytes(memory[kind])}`;
    const others = kind === 'device' ? ', or fewer limits.maxBatchTokens' : '';
    const remedy = `use a larger GPUClass or a stronger quantization than ${model.quantization}${others}`;
    const message = `loading "${model.name}": ${wanted}, ${limit}; ${remedy}`;
    throw new AppError('MODEL_TOO_LARGE', message);
  }

  /**
   * Makes room, then calls `take`. One at a time, in order: a small model does not take the room that was made for
   * a large one. Throws MODEL_TOO_LARGE, CACHE_FULL, or the signal's reason.
   */
  async reserve(
    model: CatalogModel,
    { bytes, take }: { bytes: Bytes; take: () => void },
    signal: AbortSignal,
  ): Promise<void> {
    this.admit(model, bytes);
    using wait = withTimeout(signal, this.#options.roomTimeoutMs, this.#options.clock);
    const turn = this.#reserved.then(() => this.#makeRoom(bytes, wait.signal)).then(take);
    this.#reserved = turn.catch(() => {}); // who reserves hears of it
    try {
      await turn;
    } catch (err) {
      throw wait.signal.aborted && !signal.aborted ? cacheFull(model, err) : err;
    }
  }

  async #makeRoom(bytes: Bytes, signal: AbortSignal): Promise<void> {
    const { changes, residents, evict, limits } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const { next } = changes;
      const victims = planEviction(residents(), bytes, limits);
      if (victims?.length === 0) return;
      await (victims ? evict(victims) : abortable(next, signal));
    }
  }
}

function cacheFull(model: CatalogModel, cause: unknown): AppError {
  const message = `loading "${model.name}": every model in memory is in use`;
  return new AppError('CACHE_FULL', message, { cause, retryAfterSeconds: 5 });
}
