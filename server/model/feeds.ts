// From packed rows to the inputs of a graph, by the names that the graph gives them. Pure.
import type { Blueprint } from '../onnx/arch/blueprint.ts';
import { ropeInputs, tokenInputs } from '../onnx/arch/decoder.ts';
import { attentionInputs } from '../onnx/blocks/attention.ts';
import { headInputs } from '../onnx/blocks/head.ts';
import { rewardInputs } from '../onnx/blocks/reward.ts';
import { RopeTable, regimeOf } from '../onnx/blocks/rope.ts';
import type { Batch, PackedTokens } from './batch/pack.ts';
import type { Feed, Feeds } from './engine.ts';

/** Makes the inputs of one model's graphs. Remembers the angles that it has computed. */
export class Feeder {
  /** Rows whose lengths give the same may share what they begin with. */
  readonly regimeOf: (length: number) => number;
  readonly #ropes: readonly { table: RopeTable; dim: number }[];

  constructor({ ropes }: Pick<Blueprint, 'ropes'>) {
    this.#ropes = ropes.map((rope) => ({ table: new RopeTable(rope), dim: rope.dim }));
    this.regimeOf = (length) => Math.max(0, ...ropes.map((rope) => regimeOf(rope, length)));
  }

  /** What the layers take, and the tokens themselves. */
  tokens(packed: PackedTokens): Feeds {
    const { tokens, positions, rowLengths, rectangles, slots, past, places } = packed;
    return {
      [tokenInputs.tokens.name]: int32(tokens),
      [tokenInputs.positions.name]: int32(positions),
      [attentionInputs.rectangles.name]: {
        type: 'int64',
        data: rectangles,
        shape: [rectangles.length / 5, 5],
      },
      [attentionInputs.slots.name]: int32(slots),
      [attentionInputs.past.name]: int32(past),
      [attentionInputs.places.name]: int32(places),
      ...Object.fromEntries(
        this.#ropes.flatMap(({ table, dim }, index) => {
          const { cos, sin } = table.rows(positions, rowLengths);
          const ports = ropeInputs(index, dim);
          const angles = (data: Float32Array): Feed => {
            return { type: 'float32', data, shape: [positions.length, dim / 2] };
          };
          return [[ports.cos.name, angles(cos)] as const, [ports.sin.name, angles(sin)] as const];
        }),
      ),
    };
  }

  scores(batch: Batch): Feeds {
    const { scored, targets, scoredShape, topK } = batch;
    return {
      ...this.tokens(batch),
      [headInputs.scored.name]: int32(scored, scoredShape),
      [headInputs.targets.name]: int32(targets, scoredShape),
      [headInputs.topK.name]: { type: 'int64', data: BigInt64Array.of(BigInt(topK)), shape: [1] },
    };
  }

  rewards(packed: PackedTokens): Feeds {
    return { ...this.tokens(packed), [rewardInputs.last.name]: int32(packed.last) };
  }
}

const int32 = (data: Int32Array, shape: readonly number[] = [data.length]): Feed => ({
  type: 'int32',
  data,
  shape,
});
