// What the tokens that a row shows leave of each distribution. Pure.
import type { Candidates, ScoredRow } from '../scoring.ts';

type Shown = Pick<ScoredRow, 'logprobs' | 'topIds' | 'topLogprobs' | 'k' | 'candidateLogprobs'>;

/** float32 [m]: 1 less the probabilities of tops and candidates, each token once; never below 0. */
export function tailsOf(shown: Shown, candidates?: Candidates): Float32Array {
  const { logprobs, topIds, topLogprobs, k, candidateLogprobs } = shown;
  const width = candidates?.width ?? 0;
  const seen = new Set<number>();
  return Float32Array.from(logprobs, (_, i) => {
    seen.clear();
    let mass = 0;
    for (let at = i * k; at < (i + 1) * k; at++) {
      seen.add(topIds[at] ?? 0);
      mass += Math.exp(topLogprobs[at] ?? -Infinity);
    }
    for (let at = i * width; at < (i + 1) * width; at++) {
      const id = candidates?.ids[at] ?? -1;
      if (id < 0 || seen.has(id)) continue;
      seen.add(id);
      mass += Math.exp(candidateLogprobs[at] ?? -Infinity);
    }
    return Math.max(0, 1 - mass);
  });
}
