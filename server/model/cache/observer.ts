// What a cache of models tells whoever measures it.
import type { ErrorCode } from '../../../common/errors.ts';
import type { LoadPhase } from '../progress.ts';
import type { Ending } from '../scoring.ts';

/** Hit: it was in memory. Wait: it was being loaded. Miss: its load begins. */
export type Lookup = 'Hit' | 'Wait' | 'Miss';

export interface CacheObserver {
  onLookup(result: Lookup): void;
  /** `code` is unset for a load that succeeded. */
  onLoad(seconds: number, code?: ErrorCode): void;
  onPhase(phase: LoadPhase, done: { seconds: number; bytes: number }): void;
  onEvict(): void;
  /** An entry of the cache folder made room for another. */
  onDiskEvicted(bytes: number): void;
  /** It ended by itself. */
  onDeath(how: Ending['how']): void;
}
