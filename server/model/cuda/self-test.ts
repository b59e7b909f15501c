// Whether a provider computes what it should: one layer of a small decoder, on the GPU as models run there and on the
// CPU in float32. A kernel that a GPU does not suit gives wrong numbers without a word.
import { AppError } from '../../../common/errors.ts';
import type { Decoder } from '../../onnx/arch/decoder.ts';
import { hiddenPort, layerGraph, nextPort } from '../../onnx/arch/segments.ts';
import type { MatrixShape, Weights } from '../../onnx/blocks/weights.ts';
import { float32Tensor, type Tensor } from '../../onnx/graph.ts';
import { cpuTarget, type Target } from '../../onnx/target.ts';
import { blockSize } from '../../quant/blocks.ts';
import { quantizeInt8 } from '../../quant/int8.ts';
import { packTokens } from '../batch/pack.ts';
import { Engine } from '../engine.ts';
import { Feeder } from '../feeds.ts';

const hidden = 128;
const heads = { heads: 4, kvHeads: 2, headDim: 64 };
const linear = (name: string, rows: number, columns: number) => ({ name, rows, columns });
const norm = (name: string) => ({ name, kind: 'RMS', length: hidden, epsilon: 1e-5 }) as const;

/** Its attention in 16 bits or float32, its feed-forward layer in 8-bit blocks. */
const decoder: Pick<Decoder, 'ropes' | 'layers'> = {
  ropes: [{ type: 'default', theta: 10_000, dim: heads.headDim }],
  layers: [
    {
      attention: {
        ...heads,
        qkv: {
          kind: 'Separate',
          q: linear('q', 256, hidden),
          k: linear('k', 128, hidden),
          v: linear('v', 128, hidden),
        },
        output: linear('o', hidden, 256),
      },
      rope: 0,
      mlp: {
        kind: 'Gated',
        gate: linear('gate', 256, hidden),
        up: linear('up', 256, hidden),
        down: linear('down', hidden, 256),
        activation: 'SiLU',
      },
      beforeAttention: norm('before_attention'),
      beforeMlp: norm('before_mlp'),
    },
  ],
};

/** Two rows that share a page, and differ in length after it. */
const rows = [320, 300].map((length, r) => ({
  tokens: Int32Array.from({ length }, (_, i) => (i < 280 ? i : i + 1000 * r)),
}));

/** What rounding to 16 bits leaves well below; a kernel that is wrong is off by about 1. */
const maxError = 0.05;

/** Throws PROVIDER_UNSOUND when `target` is further from the CPU than its numbers explain. */
export async function selfTest(target: Target, threads: number): Promise<void> {
  const expected = await run(cpuTarget, threads);
  const found = await run(target, threads);
  const error = relativeError(expected, found);
  if (error <= maxError) return;
  const { provider, type } = target;
  const figure = `one layer in ${type} is off by ${error.toPrecision(2)} of its size`;
  throw new AppError('PROVIDER_UNSOUND', `testing ${provider}: ${figure}, ${maxError} is allowed`);
}

/** The rows of tokens that both ways have: they are packed in different orders. */
async function run(target: Target, threads: number): Promise<Float32Array> {
  const { provider } = target;
  const graph = layerGraph(decoder, 0, weights, target);
  const engine = await Engine.load(graph, { threads, provider });
  try {
    const feeder = new Feeder(decoder, target);
    const packed = packTokens(rows, feeder.packing);
    const n = packed.tokens.length;
    const data = new Float32Array(n * hidden);
    packed.tokens.forEach((token, at) => data.set(noise(hidden, token + 1), at * hidden));
    const input = { type: 'float32', data, shape: [n, hidden] } as const;
    const results = await engine.run({ ...feeder.tokens(packed), [hiddenPort.name]: input });
    const next = results.floats(nextPort);
    const inOrder = packed.paths.flatMap((path) => [...path]);
    return Float32Array.from(
      inOrder.flatMap((at) => [...next.subarray(at * hidden, (at + 1) * hidden)]),
    );
  } finally {
    await engine.release();
  }
}

/** √(Σ (found - expected)² / Σ expected²); infinite where something is no number. */
function relativeError(expected: Float32Array, found: Float32Array): number {
  let off = 0;
  let size = 0;
  for (const [i, value] of expected.entries()) {
    off += (value - (found[i] ?? NaN)) ** 2;
    size += value ** 2;
  }
  const error = Math.sqrt(off / size);
  return Number.isFinite(error) ? error : Infinity;
}

const weights: Weights = {
  matrix(name, shape) {
    const values = valuesOf(name, shape);
    const { rows, columns } = shape;
    if (!/^(gate|up|down)\./.test(name)) {
      return { format: 'Float', tensor: float32Tensor(values, [rows, columns]) };
    }
    const { codes, scales } = quantizeInt8(values, columns);
    const blocks = columns / blockSize;
    return {
      format: 'Blocks',
      bits: 8,
      rows,
      columns,
      blockSize,
      codes: { type: 'uint8', shape: [rows, blocks, blockSize], data: codes },
      scales: { type: 'bfloat16', shape: [rows, blocks], data: bytesOf(scales) },
      roundsActivations: false,
    };
  },
  table: () => {
    throw new RangeError('a layer has no table');
  },
  vector: (_, length) => float32Tensor(new Float32Array(length).fill(1), [length]),
};

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint16Array): Tensor['data'] =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Of unit size in the sum over the columns. */
const valuesOf = (name: string, { rows, columns }: MatrixShape): Float32Array =>
  noise(rows * columns, name.length * 97 + name.charCodeAt(0)).map(
    (value) => value * Math.sqrt(3 / columns),
  );

/** Reproducible numbers in -1 … 1. */
function noise(count: number, seed: number): Float32Array {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}
