// Where a block is being recorded: the tape at its place in the graph, the weights it takes from, what it is made for.
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import type { Linear, Weights } from './weights.ts';

export interface Scope {
  readonly tape: Tape;
  readonly weights: Weights;
  readonly target: Target;
  /** Told the input of every linear layer: calibration looks at these. */
  readonly observe: (layer: Linear, x: Value) => void;
}

/** The same, one folder deeper. */
export const at = (scope: Scope, folder: string): Scope => ({
  ...scope,
  tape: scope.tape.at(folder),
});

/** The same, in float32 whatever the graph computes with. */
export const exactly = (scope: Scope): Scope => ({
  ...scope,
  target: { ...scope.target, type: 'float32' },
});
