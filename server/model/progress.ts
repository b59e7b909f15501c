// How far a load has come, in bytes. Who does the work counts them, who shows them gets them at a bounded rate.
// It does not know what the bytes are.

/** In this order. Downloading and Converting are left out where nothing is to be done. */
export const loadPhases = ['Downloading', 'Converting', 'Loading'] as const;
export type LoadPhase = (typeof loadPhases)[number];

export interface Progress {
  readonly phase: LoadPhase;
  readonly bytes: number;
  readonly totalBytes: number;
}
export type Report = (progress: Progress) => void;

/** At least this long between two reports of a phase, its first and its last apart. */
const intervalMs = 500;

/** Counts the bytes of one phase. Says nothing as long as there are none: a phase without work does not show. */
export class Meter {
  readonly #phase: LoadPhase;
  readonly #totalBytes: number;
  readonly #report: Report;
  #bytes = 0;

  constructor(phase: LoadPhase, totalBytes: number, report: Report) {
    this.#phase = phase;
    this.#totalBytes = totalBytes;
    this.#report = report;
  }

  /** `bytes` more are done, or fewer where work starts again. A function of its own, to be handed on. */
  readonly add = (bytes: number): void => {
    this.#bytes = Math.max(0, Math.min(this.#bytes + bytes, this.#totalBytes));
    this.#report({ phase: this.#phase, bytes: this.#bytes, totalBytes: this.#totalBytes });
  };

  /** What is left need not be done. */
  finish(): void {
    if (this.#bytes > 0) this.add(this.#totalBytes);
  }
}

/** `report`, for the first and the last of each phase and now and then in between. */
export function atBoundedRate(report: Report, now = () => performance.now()): Report {
  let phase: LoadPhase | undefined;
  let reportedMs = 0;
  return (progress) => {
    const isDue = progress.phase !== phase || now() - reportedMs >= intervalMs;
    if (!isDue && progress.bytes < progress.totalBytes) return;
    phase = progress.phase;
    reportedMs = now();
    report(progress);
  };
}
