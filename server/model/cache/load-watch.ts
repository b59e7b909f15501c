// Follows one load from the front: which phase it is in, how far it is, how long each phase took; and says so in the
// log. It knows no bytes but those it is told.
import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log.ts';
import type { Span, Tracing } from '../../../common/tracing.ts';
import { type LoadPhase, loadPhases, type Progress, type Report } from '../progress.ts';

/** A phase is told of again after each such part of its bytes, and after this time. */
const parts = 10;
const tellMs = 30_000;

export interface LoadWatchOptions {
  /** Has the name of the model among its fields. */
  log: Logger;
  clock: Clock;
  /** Whose phases are spans. Default: nobody's. */
  tracing?: { readonly of: Tracing; readonly load: Span };
  /** What a phase took in all, once the load is over. */
  onPhase: (phase: LoadPhase, done: { seconds: number; bytes: number }) => void;
}

/** Seconds by phase. `Loading` is everything that is neither of the others, the wait for room apart. */
export type PhaseSeconds = Readonly<Record<LoadPhase, number>>;

export class LoadWatch {
  readonly #options: LoadWatchOptions;
  readonly #seconds: Record<LoadPhase, number> = { Downloading: 0, Converting: 0, Loading: 0 };
  readonly #bytes: Record<LoadPhase, number> = { Downloading: 0, Converting: 0, Loading: 0 };
  #phase: LoadPhase | 'Waiting' = 'Loading';
  #sinceMs: number;
  #span: Span | undefined;
  #progress: Progress | undefined;
  /** Last line of the log. */
  #told: { part: number; atMs: number };

  constructor(options: LoadWatchOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.now();
    this.#told = { part: 0, atMs: this.#sinceMs };
    this.#startSpan();
  }

  get phase(): LoadPhase {
    return this.#phase === 'Waiting' ? 'Loading' : this.#phase;
  }

  /** Of the phase it is in; unset while nothing is counted. */
  get progress(): Progress | undefined {
    return this.#progress;
  }

  /** Of the phases that are over. */
  get seconds(): PhaseSeconds {
    return { ...this.#seconds };
  }

  readonly report: Report = (progress) => {
    if (progress.phase !== this.#phase) this.#enter(progress.phase);
    const isFirst = this.#progress === undefined;
    this.#progress = progress;
    if (isFirst || partOf(progress) > this.#told.part) this.#tell();
  };

  /** It waits for room, which counts for no phase. */
  waits(): void {
    this.#enter('Waiting');
  }

  loads(totalBytes: number): void {
    this.#enter('Loading');
    this.report({ phase: 'Loading', bytes: 0, totalBytes });
  }

  /** The load is over. */
  end({ isLoaded }: { isLoaded: boolean }): void {
    const { totalBytes } = this.#progress ?? {};
    if (isLoaded && totalBytes)
      this.#progress = { phase: 'Loading', bytes: totalBytes, totalBytes };
    this.#leave();
    for (const phase of loadPhases) {
      const seconds = this.#seconds[phase];
      if (seconds > 0) this.#options.onPhase(phase, { seconds, bytes: this.#bytes[phase] });
    }
  }

  /** Tells of a load that goes on, now and then, until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const restMs = this.#told.atMs + tellMs - clock.now();
      if (restMs <= 0) this.#tell();
      else await clock.delay(restMs, signal).catch(() => {}); // the loop ends
    }
  }

  /** "Downloading, 12 of 48 bytes": for the message of a load that is given up. */
  describe(): string {
    if (!this.#progress) return this.#phase;
    const { bytes, totalBytes } = this.#progress;
    return `${this.#phase}, ${bytes} of ${totalBytes} bytes`;
  }

  #enter(phase: LoadPhase | 'Waiting'): void {
    this.#leave();
    this.#phase = phase;
    this.#sinceMs = this.#options.clock.now();
    this.#progress = undefined;
    this.#told = { part: 0, atMs: this.#sinceMs };
    this.#startSpan();
  }

  #startSpan(): void {
    const { tracing } = this.#options;
    this.#span = tracing?.of.start(this.#phase, { parent: tracing.load });
  }

  #leave(): void {
    this.#span?.set({ 'refmodel.bytes': this.#progress?.bytes });
    this.#span?.end();
    if (this.#phase === 'Waiting') return;
    this.#seconds[this.#phase] += this.#elapsed();
    this.#bytes[this.#phase] += this.#progress?.bytes ?? 0;
    if (this.#progress) this.#options.log.info(this.#fields(), 'phase of a load ended');
  }

  #tell(): void {
    const part = this.#progress ? partOf(this.#progress) : 0;
    this.#told = { part, atMs: this.#options.clock.now() };
    this.#options.log.info(this.#fields(), 'loading goes on');
  }

  #fields() {
    const seconds = this.#elapsed();
    const { bytes, totalBytes } = this.#progress ?? {};
    const bytesPerSecond = bytes && seconds > 0 ? Math.round(bytes / seconds) : undefined;
    return { phase: this.#phase, seconds, bytes, totalBytes, bytesPerSecond };
  }

  #elapsed(): number {
    return (this.#options.clock.now() - this.#sinceMs) / 1000;
  }
}

const partOf = ({ bytes, totalBytes }: Progress): number =>
  totalBytes > 0 ? Math.floor((bytes * parts) / totalBytes) : 0;
