// How far a policy is from the reference, by the tokens that it sampled. Pure.
import { invalid } from './sequences.ts';

export interface Divergence {
  /** Mean of log p(policy) - log p(reference): unbiased, may be negative. */
  readonly k1: number;
  /** Mean of exp(d) - d - 1 for d = log p(reference) - log p(policy): never negative, varies less. */
  readonly k3: number;
  readonly tokens: number;
}

export interface Compared {
  readonly policy: ArrayLike<unknown>;
  readonly reference: Float32Array;
  /** int32 [m]: where in `policy` the value of each of the reference stands. */
  readonly at: Int32Array;
}

/** Nats per token; undefined without tokens. Throws INVALID_REQUEST naming a value that is missing. */
export function divergenceOf(rows: readonly Compared[]): Divergence | undefined {
  let [k1, k3, tokens] = [0, 0, 0];
  for (const [r, { policy, reference, at }] of rows.entries()) {
    for (const [i, value] of reference.entries()) {
      const other = policy[at[i] ?? 0];
      if (typeof other !== 'number' || !Number.isFinite(other)) {
        throw invalid(
          `policy_logprobs[${r}][${at[i]}]`,
          'expected a finite number where a token is scored',
        );
      }
      const delta = value - other;
      k1 -= delta;
      k3 += Math.expm1(delta) - delta;
      tokens += 1;
    }
  }
  return tokens === 0 ? undefined : { k1: k1 / tokens, k3: k3 / tokens, tokens };
}
