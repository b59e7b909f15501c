// From packed rows to the inputs of a graph, by the names that the graph gives them. Pure.
import {
  attentions,
  type Decoder,
  pageTokensOf,
  ropeInputs,
  rotationOf,
  tokenInputs,
} from '../onnx/arch/decoder.ts';
import type { Rotation } from '../onnx/blocks/attention.ts';
import { headInputs } from '../onnx/blocks/head.ts';
import { keptShape } from '../onnx/blocks/linear.ts';
import { cacheInput, cacheSizes, pageInputs } from '../onnx/blocks/pages.ts';
import { rectangleInputs } from '../onnx/blocks/rectangles.ts';
import { rewardInputs } from '../onnx/blocks/reward.ts';
import { RopeTable, regimeOf } from '../onnx/blocks/rope.ts';
import { cpuTarget } from '../onnx/target.ts';
import type { Batch, PackedTokens } from './batch/pack.ts';
import { layOutPages } from './batch/pages.ts';
import type { TreeOptions } from './batch/prefix-tree.ts';
import { layOutRectangles } from './batch/rectangles.ts';
import type { Feed, Feeds } from './engine.ts';

/** Makes the inputs of one model's graphs. Remembers the angles that it has computed. */
export class Feeder {
  /** How rows are to be packed for it. */
  readonly packing: TreeOptions;
  readonly #ropes: readonly { table: RopeTable; dim: number; of: Rotation['of'] }[];
  readonly #cacheSizes: ReturnType<typeof cacheSizes>;

  constructor(decoder: Pick<Decoder, 'ropes' | 'layers'>, target = cpuTarget) {
    const { ropes } = decoder;
    this.#ropes = ropes.map((rope) => {
      return { table: new RopeTable(rope), dim: rope.dim, of: rotationOf(decoder, rope, target) };
    });
    this.#cacheSizes = cacheSizes(attentions(decoder));
    this.packing = {
      // Rotary scalings may depend on the length of a row.
      regimeOf: (length) => Math.max(0, ...ropes.map((rope) => regimeOf(rope, length))),
      pageTokens: pageTokensOf(decoder, target),
    };
  }

  /** What the layers take, and the tokens themselves. */
  tokens(packed: PackedTokens): Feeds {
    const { pageTokens } = this.packing;
    return {
      [tokenInputs.tokens.name]: int32(packed.tokens),
      [tokenInputs.positions.name]: int32(packed.positions),
      ...(pageTokens ? this.#pages(packed, pageTokens) : rectangles(packed)),
      ...Object.fromEntries(this.#ropes.flatMap((_, index) => this.#angles(packed, index))),
    };
  }

  #angles({ positions, rowLengths, leaves }: PackedTokens, index: number): [string, Feed][] {
    const rope = this.#ropes[index];
    if (!rope) return [];
    const { table, dim, of } = rope;
    const longest = Math.max(...leaves.map(({ length }) => length));
    const { cos, sin } = of === 'Tokens' ? table.rows(positions, rowLengths) : table.upTo(longest);
    const ports = ropeInputs(index, dim);
    const angles = (data: Float32Array): Feed => {
      return { type: 'float32', data, shape: [(2 * data.length) / dim, dim / 2] };
    };
    return [
      [ports.cos.name, angles(cos)],
      [ports.sin.name, angles(sin)],
    ];
  }

  #pages({ leaves }: PackedTokens, pageTokens: number): Feeds {
    const { starts, past, table, width, pages, mostOwn, longest } = layOutPages(leaves, pageTokens);
    const caches = this.#cacheSizes.map(([kvHeads, size]) => {
      const shape = [pages, pageTokens, kvHeads, size];
      return [cacheInput(kvHeads, size).name, int64(BigInt64Array.from(shape, BigInt))] as const;
    });
    return {
      [pageInputs.starts.name]: int32(starts),
      [pageInputs.past.name]: int32(past),
      [pageInputs.table.name]: int32(table, [leaves.length, width]),
      [pageInputs.bounds.name]: int32(Int32Array.of(mostOwn, longest)),
      ...Object.fromEntries(caches),
    };
  }

  scores(batch: Batch): Feeds {
    const { scored, targets, temperatures, candidates, scoredShape, candidateWidth } = batch;
    return {
      ...this.tokens(batch),
      [headInputs.scored.name]: int32(scored, scoredShape),
      [headInputs.targets.name]: int32(targets, scoredShape),
      [headInputs.temperatures.name]: { type: 'float32', data: temperatures, shape: scoredShape },
      [headInputs.candidates.name]: int32(candidates, [...scoredShape, candidateWidth]),
      [headInputs.topK.name]: int64(BigInt64Array.of(BigInt(batch.topK))),
      [headInputs.wantsTop.name]: flag(batch.topK > 0),
      [headInputs.wantsRanks.name]: flag(batch.wantsRanks),
      [headInputs.wantsEntropies.name]: flag(batch.wantsEntropies),
      [headInputs.wantsSome.name]: flag(batch.topK > 0 || batch.wantsRanks || batch.wantsEntropies),
      [headInputs.exposed.name]: int32(batch.exposed),
      [keptShape.name]: int64(new BigInt64Array(3)),
      [headInputs.isTempered.name]: flag(temperatures.some((temperature) => temperature !== 1)),
    };
  }

  rewards(packed: PackedTokens): Feeds {
    return { ...this.tokens(packed), [rewardInputs.last.name]: int32(packed.last) };
  }
}

function rectangles(packed: PackedTokens): Feeds {
  const { slots, past, places, rectangles } = layOutRectangles(packed);
  return {
    [rectangleInputs.rectangles.name]: int64(rectangles, [rectangles.length / 5, 5]),
    [rectangleInputs.slots.name]: int32(slots),
    [rectangleInputs.past.name]: int32(past),
    [rectangleInputs.places.name]: int32(places),
  };
}

const int32 = (data: Int32Array, shape: readonly number[] = [data.length]): Feed => ({
  type: 'int32',
  data,
  shape,
});

const int64 = (data: BigInt64Array, shape: readonly number[] = [data.length]): Feed => ({
  type: 'int64',
  data,
  shape,
});

const flag = (value: boolean): Feed => ({
  type: 'bool',
  data: Uint8Array.of(Number(value)),
  shape: [1],
});
