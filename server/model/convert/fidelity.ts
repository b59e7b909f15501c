// How far a converted model is from the checkpoint, from the last hidden rows of both.
import { open } from 'node:fs/promises';
import type { Blueprint } from '../../onnx/arch/blueprint.ts';
import {
  comparison,
  comparisonGraph,
  hiddenPort,
  rewardGraph,
  type VocabularySlice,
} from '../../onnx/arch/segments.ts';
import { rewardOutputs } from '../../onnx/blocks/reward.ts';
import type { Weights } from '../../onnx/blocks/weights.ts';
import type { FileRange } from '../../onnx/graph.ts';
import { readFully } from '../disk.ts';
import { Engine, type Feeds, type Results } from '../engine.ts';
import { Feeder } from '../feeds.ts';
import type { Hidden, Passage } from './forward.ts';

export interface Fidelity {
  /** Mean Kullback-Leibler divergence from the checkpoint, in nats; 0 for a reward model. */
  readonly kl: number;
  /** Of the log-probability of the token that followed; of the scores, for a reward model. */
  readonly meanAbsDelta: number;
  readonly maxAbsDelta: number;
  /** Positions that were compared; scores, for a reward model. */
  readonly tokens: number;
}

/** As they stand in a converted file: float64 [4]. */
export function fidelityBytes({ kl, meanAbsDelta, maxAbsDelta, tokens }: Fidelity): Uint8Array {
  return new Uint8Array(Float64Array.of(kl, meanAbsDelta, maxAbsDelta, tokens).buffer);
}

export async function readFidelity({ file, offset, length }: FileRange): Promise<Fidelity> {
  const bytes = Buffer.alloc(length);
  const handle = await open(file);
  try {
    await readFully(handle, bytes, offset);
  } finally {
    await handle.close();
  }
  return {
    kl: bytes.readDoubleLE(0),
    meanAbsDelta: bytes.readDoubleLE(8),
    maxAbsDelta: bytes.readDoubleLE(16),
    tokens: bytes.readDoubleLE(24),
  };
}

/** One side of the comparison: its weights, and the hidden rows after its last layer. */
export interface Side {
  readonly weights: Weights;
  readonly hidden: Hidden;
}

export interface Sides {
  readonly plain: Side;
  readonly other: Side;
}

/** Rows of the vocabulary that are in memory at once. */
const sliceRows = 8192;

export function compare(probe: Probe, sides: Sides, signal: AbortSignal): Promise<Fidelity> {
  return probe.blueprint.task === 'Reward'
    ? compareRewards(probe, sides, signal)
    : compareLogProbs(probe, sides, signal);
}

export interface Probe {
  readonly blueprint: Blueprint;
  readonly passages: readonly Passage[];
  readonly threads: number;
}

/** A log-sum-exp over slices, in float64. */
class LogSum {
  max = -Infinity;
  sum = 0;
  /** Σ exp(x - max) · weight */
  weighted = 0;

  add(max: number, sum: number, weighted = 0): void {
    const next = Math.max(this.max, max);
    const old = Math.exp(this.max - next);
    const scale = Math.exp(max - next);
    this.sum = this.sum * old + sum * scale;
    this.weighted = this.weighted * old + weighted * scale;
    this.max = next;
  }

  get value(): number {
    return this.max + Math.log(this.sum);
  }
}

/** One position of the probe. */
interface Position {
  readonly target: number;
  readonly plain: LogSum;
  readonly other: LogSum;
  plainTarget: number;
  otherTarget: number;
}

async function compareLogProbs(probe: Probe, sides: Sides, signal: AbortSignal): Promise<Fidelity> {
  const { blueprint, passages, threads } = probe;
  const width = blueprint.decoder.hidden;
  const positions = passages.map((passage) => positionsOf(passage));
  const rows = (hidden: Hidden) =>
    positions.map(({ indices }, at) => pick(hidden[at] ?? new Float32Array(), indices, width));
  const plain = rows(sides.plain.hidden);
  const other = rows(sides.other.hidden);
  const weights = { plain: sides.plain.weights, other: sides.other.weights };
  for (let from = 0; from < blueprint.vocabularySize; from += sliceRows) {
    const slice = { from, to: Math.min(from + sliceRows, blueprint.vocabularySize) };
    const graph = comparisonGraph(blueprint.decoder, weights, slice);
    const engine = await Engine.load(graph, { threads });
    try {
      for (const [at, { found }] of positions.entries()) {
        signal.throwIfAborted();
        const data = { plain: plain[at], other: other[at], found };
        addSlice(found, await engine.run(sliceFeeds(data, slice, width)), slice);
      }
    } finally {
      await engine.release();
    }
  }
  return summarize(positions.flatMap(({ found }) => found));
}

/** Where a token follows: the packed index, and which. Rows of a passage that begin alike are compared once. */
function positionsOf({ packed, rows }: Passage): { indices: number[]; found: Position[] } {
  const indices: number[] = [];
  const found: Position[] = [];
  const seen = new Set<number>();
  rows.forEach((row, r) => {
    const path = packed.paths[r] ?? new Int32Array();
    for (let at = 0; at + 1 < row.length; at++) {
      const index = path[at] ?? 0;
      if (seen.has(index)) continue;
      seen.add(index);
      indices.push(index);
      const sums = { plain: new LogSum(), other: new LogSum() };
      found.push({ target: row[at + 1] ?? 0, ...sums, plainTarget: NaN, otherTarget: NaN });
    }
  });
  return { indices, found };
}

function pick(hidden: Float32Array, indices: readonly number[], width: number): Float32Array {
  const picked = new Float32Array(indices.length * width);
  indices.forEach((index, at) => {
    picked.set(hidden.subarray(index * width, (index + 1) * width), at * width);
  });
  return picked;
}

function sliceFeeds(
  { plain, other, found }: Partial<Record<'plain' | 'other', Float32Array>> & { found: Position[] },
  { from, to }: VocabularySlice,
  width: number,
): Feeds {
  const hidden = (data: Float32Array = new Float32Array()) =>
    ({ type: 'float32', data, shape: [found.length, width] }) as const;
  const within = found.map(({ target }) =>
    BigInt(Math.min(Math.max(target - from, 0), to - from - 1)),
  );
  return {
    [comparison.plain.name]: hidden(plain),
    [comparison.other.name]: hidden(other),
    [comparison.targets.name]: {
      type: 'int64',
      data: BigInt64Array.from(within),
      shape: [found.length, 1],
    },
  };
}

function addSlice(found: readonly Position[], results: Results, slice: VocabularySlice): void {
  const values = {
    plainMax: results.floats(comparison.plainMax),
    plainSum: results.floats(comparison.plainSum),
    otherMax: results.floats(comparison.otherMax),
    otherSum: results.floats(comparison.otherSum),
    excess: results.floats(comparison.excess),
    plainTarget: results.floats(comparison.plainTarget),
    otherTarget: results.floats(comparison.otherTarget),
  };
  found.forEach((position, i) => {
    const at = (name: keyof typeof values): number => values[name][i] ?? NaN;
    position.plain.add(at('plainMax'), at('plainSum'), at('excess'));
    position.other.add(at('otherMax'), at('otherSum'));
    if (position.target < slice.from || position.target >= slice.to) return;
    position.plainTarget = at('plainTarget');
    position.otherTarget = at('otherTarget');
  });
}

function summarize(positions: readonly Position[]): Fidelity {
  let divergence = 0;
  const deltas = positions.map(({ plain, other, plainTarget, otherTarget }) => {
    divergence += plain.weighted / plain.sum - (plain.value - other.value);
    return plainTarget - plain.value - (otherTarget - other.value);
  });
  return { kl: divergence / positions.length, ...deltaFigures(deltas) };
}

function deltaFigures(deltas: readonly number[]): Omit<Fidelity, 'kl'> {
  const sizes = deltas.map(Math.abs);
  return {
    meanAbsDelta: sizes.reduce((sum, size) => sum + size, 0) / sizes.length,
    maxAbsDelta: sizes.reduce((max, size) => Math.max(max, size), 0),
    tokens: sizes.length,
  };
}

async function compareRewards(probe: Probe, sides: Sides, signal: AbortSignal): Promise<Fidelity> {
  const [plain, other] = [
    await rewards(probe, sides.plain, signal),
    await rewards(probe, sides.other, signal),
  ];
  return { kl: 0, ...deltaFigures(plain.map((reward, i) => reward - (other[i] ?? NaN))) };
}

async function rewards(
  { blueprint, passages, threads }: Probe,
  { weights, hidden }: Side,
  signal: AbortSignal,
): Promise<number[]> {
  const engine = await Engine.load(rewardGraph(blueprint.decoder, weights), { threads });
  const feeder = new Feeder(blueprint.decoder);
  const width = blueprint.decoder.hidden;
  try {
    const found: number[] = [];
    for (const [at, { packed }] of passages.entries()) {
      signal.throwIfAborted();
      const data = hidden[at] ?? new Float32Array();
      const rows = { type: 'float32', data, shape: [data.length / width, width] } as const;
      const results = await engine.run({ ...feeder.rewards(packed), [hiddenPort.name]: rows });
      found.push(...results.floats(rewardOutputs.rewards));
    }
    return found;
  } finally {
    await engine.release();
  }
}
