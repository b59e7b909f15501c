// Finds out what a graph asks for by making it once: weights that only note their names.
import type { MatrixShape, Weights } from '../blocks/weights.ts';
import type { Tensor } from '../graph.ts';
import { aliasesOf } from './aliases.ts';

/** How a tensor is used: [N, K] of a linear layer, [V, h] of an embedding, [n] of a norm or bias. */
export type TensorRole = 'Matrix' | 'Table' | 'Vector';

/** A tensor that the checkpoint must have. A tied one stands twice, with both its roles. */
export interface TensorSpec {
  readonly name: string;
  /** Where a file has no `name`: the same tensor by these, the first that it has. */
  readonly aliases?: readonly string[];
  /** As it is stored. */
  readonly shape: readonly number[];
  readonly role: TensorRole;
  /** A matrix that is stored as [K, N]. */
  readonly isTransposed?: boolean;
  /** Never quantized. */
  readonly isExact?: boolean;
  /** Never quantized to less than 8 bits. */
  readonly isSensitive?: boolean;
}

/** What `record` asks for, in its order, each name once per role. */
export function inventory(record: (weights: Weights) => void): TensorSpec[] {
  const specs = new Map<string, TensorSpec>();
  const note = (spec: TensorSpec): Tensor => {
    const aliases = aliasesOf(spec.name);
    specs.set(`${spec.role} ${spec.name}`, aliases.length > 0 ? { ...spec, aliases } : spec);
    return { type: 'float32', shape: spec.shape, data: new Uint8Array() };
  };
  const stored = ({ rows, columns, isTransposed }: MatrixShape) =>
    isTransposed ? [columns, rows] : [rows, columns];
  record({
    matrix(name, shape) {
      const { isTransposed, isExact, isSensitive } = shape;
      const spec = {
        name,
        shape: stored(shape),
        role: 'Matrix',
        isTransposed,
        isExact,
        isSensitive,
      } as const;
      return { format: 'Float', tensor: note(spec), isTransposed };
    },
    table: (name, shape) => {
      return { format: 'Float', tensor: note({ name, shape: stored(shape), role: 'Table' }) };
    },
    vector: (name, length) => note({ name, shape: [length], role: 'Vector' }),
  });
  return [...specs.values()];
}
