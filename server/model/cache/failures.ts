// What went wrong with models lately: shown in the state, and given again as the answer for a moment,
// so that a model that cannot load does not burn the processor at every request.
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import type { CatalogModel } from '../../contract.ts';

const firstDelayMs = 1000;
const maxDelayMs = 30_000;
/** A failure this long after the last one counts as the first. */
const memoryMs = 10 * 60_000;

interface Failure {
  model: CatalogModel;
  /** Unset once the model loaded again; the count stays, for one that loads and dies in turns. */
  error?: AppError;
  count: number;
  atMs: number;
  untilMs: number;
}

export class Failures {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failure>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `isFirstFree`: the first one may be tried again at once. */
  record(model: CatalogModel, error: AppError, options: { isFirstFree: boolean }): void {
    const now = this.#clock.now();
    const last = this.#failures.get(model.name);
    const count = last && now - last.atMs < memoryMs ? last.count + 1 : 1;
    const isFree = options.isFirstFree && count === 1;
    const delayMs = isFree ? 0 : Math.min(firstDelayMs * 2 ** (count - 1), maxDelayMs);
    this.#failures.set(model.name, { model, error, count, atMs: now, untilMs: now + delayMs });
  }

  /** Throws the last error while its back-off lasts, with the rest of it as the time to come back after. */
  check(name: string): void {
    const { error, untilMs = 0 } = this.#failures.get(name) ?? {};
    const leftMs = untilMs - this.#clock.now();
    if (!error || leftMs <= 0) return;
    throw new AppError(error.code, error.message, {
      cause: error,
      retryAfterSeconds: Math.ceil(leftMs / 1000),
    });
  }

  get(name: string): { error: AppError; atMs: number } | undefined {
    const { error, atMs = 0 } = this.#failures.get(name) ?? {};
    return error && { error, atMs };
  }

  /** As they were when they failed. */
  models(): CatalogModel[] {
    return Array.from(this.#failures.values(), (failure) => failure.model);
  }

  /** The model loaded. */
  resolve(name: string): void {
    delete this.#failures.get(name)?.error;
  }

  /** The model was asked to go, or is another one now. */
  forget(name: string): void {
    this.#failures.delete(name);
  }
}
