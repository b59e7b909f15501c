// Where a block is being recorded: the tape at its place in the graph, and the weights it takes from.
import type { Tape, Value } from '../tape.ts';
import type { Linear, Weights } from './weights.ts';

export interface Scope {
  readonly tape: Tape;
  readonly weights: Weights;
  /** Told the input of every linear layer: calibration looks at these. */
  readonly observe: (layer: Linear, x: Value) => void;
}

/** The same, one folder deeper. */
export const at = (scope: Scope, folder: string): Scope => ({
  ...scope,
  tape: scope.tape.at(folder),
});
