// Which models make room for another. Pure.
import { addBytes, type Bytes, fitsIn } from '../memory.ts';

export interface CacheLimits {
  maxModels: number;
  /** What the models may take together. */
  memory: Bytes;
}

export interface Resident {
  readonly bytes: Bytes;
  /** False while it is loading, leased or closing. */
  readonly isEvictable: boolean;
}

/**
 * The residents whose end lets `bytes` more fit: the first ones, and none that is not needed for it.
 * `residents` are ordered as they may go, least recently used first. Undefined: whatever is evicted now, it does not suffice.
 */
export function planEviction<T extends Resident>(
  residents: readonly T[],
  bytes: Bytes,
  limits: CacheLimits,
): T[] | undefined {
  const fitsWithout = (victims: ReadonlySet<T>) => {
    const kept = residents.filter((resident) => !victims.has(resident));
    const total = kept.reduce((sum, resident) => addBytes(sum, resident.bytes), bytes);
    return kept.length < limits.maxModels && fitsIn(total, limits.memory);
  };

  const victims = new Set<T>();
  for (const resident of residents) {
    if (fitsWithout(victims)) break;
    if (resident.isEvictable) victims.add(resident);
  }
  if (!fitsWithout(victims)) return undefined;
  for (const victim of [...victims].toReversed()) {
    victims.delete(victim);
    if (!fitsWithout(victims)) victims.add(victim);
  }
  return [...victims];
}
