// The head of a reward model: the scores of a row stand at its last token.
import { int, type Port } from '../graph.ts';
import type { Value } from '../tape.ts';
import { linear } from './linear.ts';
import { converted } from './numbers.ts';
import { at, exactly, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

export const rewardInputs = {
  /** The last token of each row, as an index into hidden [n, h]. */
  last: { name: 'last', type: 'int32', shape: ['rows'] },
} as const satisfies Record<string, Port>;

export const rewardOutputs = {
  /** Logits as they are, without an activation. */
  rewards: { name: 'rewards', type: 'float32', shape: ['rows', 'labels'] },
} as const satisfies Record<string, Port>;

/** hidden [n, h] ─ Gather(last) ─ score ─ rewards [rows, labels], the last two in float32 */
export function rewardHead(scope: Scope, hidden: Value, score: Linear): void {
  const { tape, target } = scope;
  const last = tape.input(rewardInputs.last);
  const picked = tape.op('Gather', [hidden, last], { axis: int(0) });
  const wide = converted(tape, picked, { from: target.type, to: 'float32' });
  tape.output(rewardOutputs.rewards, linear(exactly(at(scope, 'score')), wide, score));
}
