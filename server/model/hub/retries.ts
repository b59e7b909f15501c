// Patience with the hub: which failures of a request are waited out, for how long, and when it is enough.
import { Backoff } from '../../../common/backoff.ts';
import type { Clock } from '../../../common/clock.ts';
import { toAppError } from '../../../common/errors.ts';

/** This many failures in a row; each transferred piece begins a new row. */
const maxFailures = 6;
const backoff = { firstMs: 500, maxMs: 20_000 };
/** The hub counts requests over five minutes (huggingface.co/docs/hub/rate-limits): longer is no rate limit. */
const maxWaitMs = 360_000;

export class Retries {
  readonly #clock: Clock;
  readonly #backoff = new Backoff(backoff);
  #failures = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something arrived: what failed before does not count any more. */
  progressed(): void {
    this.#failures = 0;
    this.#backoff.reset();
  }

  /** Waits until it is time to try again. Throws `err` when that would be no use, or the reason of the signal. */
  async after(err: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { code, retryAfterSeconds } = toAppError(err);
    this.#failures += 1;
    const askedMs = code === 'HUB_RATE_LIMITED' ? retryAfterSeconds * 1000 : 0;
    const isPassing = code === 'HUB_RATE_LIMITED' || code === 'HUB_UNREACHABLE';
    if (!isPassing || this.#failures >= maxFailures || askedMs > maxWaitMs) throw err;
    await this.#clock.delay(Math.max(askedMs, this.#backoff.next()), signal);
  }
}

/** The result of `attempt` as soon as it has one. */
export async function retrying<T>(
  attempt: () => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const retries = new Retries(clock);
  for (;;) {
    try {
      return await attempt();
    } catch (err: unknown) {
      await retries.after(err, signal);
    }
  }
}
