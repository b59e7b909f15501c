// What the cache folder holds, of whichever pods share it.
import type { Metrics } from '../../common/metrics.ts';

export interface DiskSources {
  /** Of the entries, now. */
  readonly bytes: () => Promise<number>;
  /** The budget; undefined where only the volume limits them. */
  readonly limitBytes: number | undefined;
}

export function diskMetrics(metrics: Metrics, { bytes, limitBytes }: DiskSources): void {
  metrics.readingOf(
    'disk_bytes',
    'Bytes of the converted models and checkpoints in the cache folder, of all pods that share it.',
    bytes,
  );
  if (limitBytes === undefined) return;
  metrics.readingOf(
    'disk_limit_bytes',
    'Bytes that they may take; absent where only the volume limits them.',
    () => limitBytes,
  );
}
