// The lease of a training run: the models that it wants warm, and until when. Pure.
import type { ModelKey } from './pool.ts';

export interface RunLease {
  /** The name that the run gives itself. */
  readonly run: string;
  readonly models: readonly ModelKey[];
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

export const isCurrent = ({ expiresAt }: RunLease, now: number): boolean => now < expiresAt;

export const leasedModels = (leases: readonly RunLease[]): ReadonlySet<ModelKey> =>
  new Set(leases.flatMap(({ models }) => models));
