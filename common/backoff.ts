// How long to wait before the next attempt: exponential, capped, with jitter, so that many do not come back at once.

export interface BackoffOptions {
  /** Milliseconds. */
  firstMs: number;
  maxMs: number;
  /** In [0, 1); for tests. */
  random?: () => number;
}

/** Delay before attempt `failures` + 1: between half and all of min(maxMs, firstMs · 2^(failures − 1)). */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const { firstMs, maxMs, random = Math.random } = options;
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(full * (0.5 + random() / 2));
}

export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Counts a failure and says how long to wait. Milliseconds. */
  next(): number {
    this.#failures += 1;
    return backoffMs(this.#failures, this.#options);
  }

  reset(): void {
    this.#failures = 0;
  }
}
