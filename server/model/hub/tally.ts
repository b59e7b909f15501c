// How far the download of several files has come, told at a bounded rate. It does not know the files.
import type { Clock } from '../../../common/clock.ts';

/** At least this long between two reports, but for the last. Milliseconds. */
const reportMs = 500;

export interface DownloadProgress {
  /** Files that are whole. */
  readonly files: number;
  /** Bytes that are there; those of before are among them. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export class Tally {
  readonly #totalBytes: number;
  readonly #clock: Clock;
  readonly #onProgress: (progress: DownloadProgress) => void;
  #files = 0;
  #bytes = 0;
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(totalBytes: number, clock: Clock, onProgress: (progress: DownloadProgress) => void) {
    this.#totalBytes = totalBytes;
    this.#clock = clock;
    this.#onProgress = onProgress;
  }

  /** `bytes` more; a function of its own, to be handed on. */
  readonly add = (bytes: number): void => {
    this.#bytes += bytes;
    if (this.#clock.now() - this.#reportedMs >= reportMs) this.report();
  };

  finishFile(): void {
    this.#files += 1;
  }

  report(): void {
    this.#reportedMs = this.#clock.now();
    this.#onProgress({ files: this.#files, bytes: this.#bytes, totalBytes: this.#totalBytes });
  }
}
