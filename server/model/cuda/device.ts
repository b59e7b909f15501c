// The GPU of a server as its loads see it: one load at a time, none before the memory of those that went is back, and
// what each of them took. It knows processes, not models.
import { abortable } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log.ts';
import type { Driver, GPU } from './driver.ts';

/** A process that takes memory of the GPU. */
export interface Holder {
  readonly pid: number;
  /** Settles, never rejects. */
  readonly ended: Promise<unknown>;
}

export interface DeviceOptions {
  driver: Driver;
  /** Throws PROVIDER_UNAVAILABLE for what is missing besides the GPU. */
  checkLibraries: () => Promise<void>;
  clock: Clock;
  log: Logger;
}

/** What the driver needs for itself, and what the estimates leave out. */
const reserveBytes = 512 * 2 ** 20;
/** Memory of a process that ended comes back within this time, or somebody else took it. Milliseconds. */
const returnMs = 10_000;
const pollMs = 100;
/** Others may take that much more without being noticed. */
const slackBytes = 64 * 2 ** 20;

export class Device {
  readonly #options: DeviceOptions;
  /** Ends when the last load so far is over. */
  #turn: Promise<unknown> = Promise.resolve();
  #isChecked = false;
  /** What our processes hold, as measured. */
  readonly #held = new Map<Holder, number>();
  /** What others held when last looked at. */
  #expected = 0;
  /** A process of ours ended, and its memory was not seen to come back yet. */
  #isReturning = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
  }

  /** Throws PROVIDER_UNAVAILABLE, until there was nothing to say once. */
  async check(): Promise<void> {
    if (this.#isChecked) return;
    const { driver, checkLibraries, log } = this.#options;
    const gpu = await driver.gpu();
    await checkLibraries();
    this.#isChecked = true;
    log.info({ ...gpu }, 'the GPU can be used');
  }

  /** What models may take of it together; nothing is known of a GPU that cannot be asked. */
  async budget(): Promise<number | undefined> {
    const gpu = await this.#told(this.#options.driver.gpu());
    return gpu && gpu.totalBytes - reserveBytes;
  }

  /** Runs `work`, in which `holder` takes memory, when no other load runs. What it took, as far as the driver tells. */
  async take(
    holder: Holder,
    work: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const turn = this.#turn.then(() => this.#take(holder, work, signal));
    this.#turn = turn.catch(() => {}); // who takes hears of it
    return abortable(turn, signal);
  }

  async #take(
    holder: Holder,
    work: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    signal.throwIfAborted();
    const before = await this.#settled(signal);
    signal.throwIfAborted();
    this.#held.set(holder, 0);
    void holder.ended.then(() => {
      this.#held.delete(holder);
      this.#isReturning = true;
    });
    await work();
    const bytes = await this.#taken(holder, before);
    if (bytes !== undefined && this.#held.has(holder)) this.#held.set(holder, bytes);
    return bytes;
  }

  async #taken({ pid }: Holder, before: GPU | undefined): Promise<number | undefined> {
    const { driver } = this.#options;
    const [processes, after] = await Promise.all([
      this.#told(driver.processes()),
      this.#told(driver.gpu()),
    ]);
    const difference = before && after && Math.max(0, after.usedBytes - before.usedBytes);
    return processes?.get(pid) ?? difference;
  }

  /** The GPU once nothing is on its way back any more. */
  async #settled(signal: AbortSignal): Promise<GPU | undefined> {
    const { driver, clock, log } = this.#options;
    const untilMs = clock.now() + returnMs;
    let gpu = await this.#told(driver.gpu());
    while (gpu && this.#isReturning && this.#others(gpu) > this.#expected + slackBytes) {
      if (clock.now() >= untilMs) {
        const others = this.#others(gpu);
        log.warn({ expected: this.#expected, others }, 'memory of the GPU did not come back');
        break;
      }
      await clock.delay(pollMs, signal);
      gpu = await this.#told(driver.gpu());
    }
    this.#isReturning = false;
    if (gpu) this.#expected = this.#others(gpu);
    return gpu;
  }

  /** What of it our processes do not hold. */
  #others({ usedBytes }: GPU): number {
    return usedBytes - [...this.#held.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  async #told<T>(answer: Promise<T>): Promise<T | undefined> {
    try {
      return await answer;
    } catch (err: unknown) {
      this.#options.log.error({ err }, 'the GPU cannot be asked');
      return undefined;
    }
  }
}
