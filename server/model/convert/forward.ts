// Runs a decoder piece by piece over rows of text, so that no more than one layer is in memory at once.
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import {
  embeddingGraph,
  hiddenPort,
  layerGraph,
  nextPort,
  type Observation,
  observationGraph,
  otherPort,
} from '../../onnx/arch/segments.ts';
import type { Linear, Weights } from '../../onnx/blocks/weights.ts';
import type { Graph } from '../../onnx/graph.ts';
import type { Matrix } from '../../quant/matrix.ts';
import { type PackedTokens, packTokens } from '../batch/pack.ts';
import { Engine, type Feeds } from '../engine.ts';
import { Feeder } from '../feeds.ts';
import type { Multiplier } from './multiply.ts';

/** Rows that go through together. */
export interface Passage {
  readonly packed: PackedTokens;
  readonly rows: readonly Int32Array[];
  readonly feeds: Feeds;
}

/** The hidden rows [n, h] of each passage. */
export type Hidden = readonly Float32Array[];

/** What goes through a layer. */
export interface Through {
  readonly weights: Weights;
  readonly hidden: Hidden;
}

/** What goes through a layer, beside what goes through it in the other model. */
export interface Watched extends Through {
  readonly other: Hidden;
  readonly addSquare: Multiplier['addSquare'];
}

/** What the matrices that read the same rows saw, X of the one model and X' of the other, over all passages. */
export interface Observed {
  readonly layers: readonly Linear[];
  /** X'ᵀX' [K, K] */
  readonly own: Matrix;
  /** XᵀX' [K, K] */
  readonly across: Matrix;
  /** Of X. */
  readonly rows: number;
}

/** At most this many tokens in a passage: bounds memory, and the time in which the process answers nothing. */
const passageTokens = 512;

/** `rows` in passages, in their order. */
export function passagesOf(blueprint: Blueprint, rows: readonly Int32Array[]): Passage[] {
  const feeder = new Feeder(blueprint.decoder);
  const groups: Int32Array[][] = [];
  let tokens = Infinity;
  for (const row of rows) {
    if (tokens + row.length > passageTokens) {
      groups.push([]);
      tokens = 0;
    }
    groups.at(-1)?.push(row);
    tokens += row.length;
  }
  return groups.map((group) => {
    const packed = packTokens(
      group.map((row) => ({ tokens: row })),
      feeder.packing,
    );
    return { packed, rows: group, feeds: feeder.tokens(packed) };
  });
}

export class Forward {
  readonly #blueprint: Blueprint;
  readonly #threads: number;

  constructor(blueprint: Blueprint, threads: number) {
    this.#blueprint = blueprint;
    this.#threads = threads;
  }

  embed(passages: readonly Passage[], weights: Weights, signal: AbortSignal): Promise<Hidden> {
    const graph = embeddingGraph(this.#blueprint.decoder, weights);
    return this.#using(graph, (engine) =>
      inTurn(passages, signal, async ({ feeds }) => (await engine.run(feeds)).floats(nextPort)),
    );
  }

  layer(
    index: number,
    passages: readonly Passage[],
    { weights, hidden }: Through,
    signal: AbortSignal,
  ): Promise<Hidden> {
    const graph = layerGraph(this.#blueprint.decoder, index, weights);
    return this.#using(graph, (engine) =>
      inTurn(passages, signal, async ({ feeds }, at) => {
        const given = { ...feeds, ...this.#rows(hiddenPort, hidden[at]) };
        return (await engine.run(given)).floats(nextPort);
      }),
    );
  }

  /** As `layer`, and what its matrices see of these rows and of the `other` model's. */
  observe(
    index: number,
    passages: readonly Passage[],
    { weights, hidden, other, addSquare }: Watched,
    signal: AbortSignal,
  ): Promise<{ hidden: Hidden; observed: readonly Observed[] }> {
    const { graph, observations } = observationGraph(this.#blueprint.decoder, index, weights);
    return this.#using(graph, async (engine) => {
      const rows =
        hidden.reduce((sum, { length }) => sum + length, 0) / this.#blueprint.decoder.hidden;
      const observed = observations.map((observation) => nothingSeen(observation, rows));
      const next = await inTurn(passages, signal, async ({ feeds }, at) => {
        const results = await engine.run({
          ...feeds,
          ...this.#rows(hiddenPort, hidden[at]),
          ...this.#rows(otherPort, other[at]),
        });
        for (const [i, { own, others, columns }] of observations.entries()) {
          const seen = observed[i];
          if (!seen) continue;
          const x = rowsOfWidth(columns, results.floats(own));
          const mine = rowsOfWidth(columns, results.floats(others));
          await addSquare(seen.own, mine, mine);
          await addSquare(seen.across, x, mine);
        }
        return results.floats(nextPort);
      });
      return { hidden: next, observed };
    });
  }

  #rows(port: { readonly name: string }, data: Float32Array = new Float32Array()): Feeds {
    const width = this.#blueprint.decoder.hidden;
    return { [port.name]: { type: 'float32', data, shape: [data.length / width, width] } };
  }

  async #using<T>(graph: Graph, run: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = await Engine.load(graph, { threads: this.#threads });
    try {
      return await run(engine);
    } finally {
      await engine.release();
    }
  }
}

function nothingSeen({ columns, layers }: Observation, rows: number): Observed {
  const square = () => ({
    rows: columns,
    columns,
    values: new Float32Array(columns * columns),
  });
  return { layers, own: square(), across: square(), rows };
}

const rowsOfWidth = (columns: number, values: Float32Array): Matrix => {
  return { rows: values.length / columns, columns, values };
};

/** One after another. */
async function inTurn<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (const [index, item] of items.entries()) {
    signal.throwIfAborted();
    results.push(await work(item, index));
  }
  return results;
}
