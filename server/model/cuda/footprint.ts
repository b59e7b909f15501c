// The memory of a GPU that a model takes, from shapes and types alone. Pure.
import { type Decoder, type Layer, layoutOf } from '../../onnx/arch/decoder.ts';
import type { TensorSpec } from '../../onnx/arch/inventory.ts';
import type { Attention } from '../../onnx/blocks/attention.ts';
import type { Experts } from '../../onnx/blocks/experts.ts';
import type { Mlp } from '../../onnx/blocks/mlp.ts';
import type { Target } from '../../onnx/target.ts';
import { bytesPerNumber, type FloatType } from '../../quant/decode.ts';
import { chunkRowsFor } from '../batch/pack.ts';
import { maxPagesShare } from '../batch/pass.ts';
import { elements } from '../checkpoint/tensors.ts';
import { blockSizes } from '../convert/artifact.ts';
import type { BlockFormat, Format } from '../convert/plan.ts';
import type { Bytes } from '../memory.ts';

/** A process before its first weight: context, kernels, cuBLAS. */
const processBytes: Bytes = { host: 512 * 2 ** 20, device: 600 * 2 ** 20 };
/** The arena of the runtime grows by doubling, and a freed piece does not always fit again: measured 1.7. */
const arenaFactor = 1.75;
/** A larger matrix in blocks is multiplied by in parts. */
const maxScratchBytes = 256 * 2 ** 20;

export interface Work {
  readonly target: Target;
  /** What each tensor is held as. */
  readonly formats: ReadonlyMap<TensorSpec, Format>;
  readonly maxBatchTokens: number;
  /** Of a row, which runs alone where it is longer than a batch. */
  readonly maxSequenceTokens: number;
}

/** Everything that a runner takes: itself, its weights, and what the largest pass works in. */
export function footprint(decoder: Decoder, work: Work): Bytes {
  const weights = weightBytes(work.formats, work.target.type);
  const device = processBytes.device + weights + workingBytes(decoder, work);
  return { host: processBytes.host, device: Math.ceil(device) };
}

export function weightBytes(formats: ReadonlyMap<TensorSpec, Format>, type: FloatType): number {
  let bytes = 0;
  for (const [spec, format] of formats) {
    const asIs = elements(spec.shape) * bytesPerNumber[type];
    bytes += format === 'AsIs' ? asIs : blockBytes(spec, format, type);
  }
  return bytes;
}

const codeBytes: Readonly<Record<BlockFormat, number>> = { Int8: 1, Int4: 0.5, NF4: 0.5 };

/** Blocks lie along K, the last one padded; those of NF4 are flat, and their scales float32. */
function blockBytes({ shape, isTransposed }: TensorSpec, format: BlockFormat, type: FloatType) {
  const size = blockSizes[format];
  const scaleBytes = format === 'NF4' ? 4 : bytesPerNumber[type];
  const [first = 1, second = 1] = shape;
  const [rows, columns] = isTransposed ? [second, first] : [first, second];
  const blocks =
    format === 'NF4' ? Math.ceil((rows * columns) / size) : rows * Math.ceil(columns / size);
  return blocks * (size * codeBytes[format] + scaleBytes);
}

export function workingBytes(decoder: Decoder, work: Work): number {
  const { target, formats, maxBatchTokens, maxSequenceTokens } = work;
  const size = bytesPerNumber[target.type];
  const tokens = Math.max(maxBatchTokens, maxSequenceTokens);
  const widest = Math.max(...decoder.layers.map((layer) => rowNumbers(layer, decoder.hidden)));
  const layers = tokens * widest * size + scoreBytes(decoder, work, tokens);
  const head = headBytes(decoder, formats, size) + logitBytes(decoder, work, size);
  return arenaFactor * (Math.max(layers, head) + scratchBytes(formats, size));
}

/** Numbers that a token has while its layer is computed. */
function rowNumbers({ attention, mlp }: Layer, hidden: number): number {
  const stream = 3 * hidden; // the sum, what is added to it, and that normalized
  return stream + attentionNumbers(attention) + feedForwardNumbers(mlp, hidden);
}

/** Queries, keys and values as they come and as the kernel takes them, the two caches, and the answer. */
const attentionNumbers = ({ heads, kvHeads, headDim }: Attention): number =>
  headDim * (2 * (heads + 2 * kvHeads) + 2 * maxPagesShare * kvHeads + heads);

function feedForwardNumbers(layer: Mlp | Experts, hidden: number): number {
  if (layer.kind !== 'Experts') return mlpNumbers(layer);
  const widest = Math.max(...layer.experts.map(mlpNumbers)); // each token may choose the same one
  return widest + 2 * layer.perToken * hidden;
}

function mlpNumbers(layer: Mlp): number {
  if (layer.kind === 'Gated') return layer.gate.rows + layer.up.rows + layer.down.columns;
  if (layer.kind === 'GatedFused') return 2 * layer.gateUp.rows;
  return 2 * layer.up.rows;
}

/** Attention in plain operators holds the scores of all heads: as they come, masked, and as shares; in float32. */
function scoreBytes(decoder: Decoder, { target, maxSequenceTokens }: Work, tokens: number): number {
  if (layoutOf(decoder, target) === 'Pages') return 0;
  const most = Math.max(...decoder.layers.map(({ attention }) => attention.heads));
  return 3 * 4 * most * tokens * maxSequenceTokens;
}

/** Of one chunk: as the head gives them, in float32, and their log-softmax. */
function logitBytes({ head, vocabularySize }: Decoder, work: Work, size: number): number {
  if (head.task === 'Reward') return 0;
  const { target, maxBatchTokens } = work;
  const rows = chunkRowsFor({ vocabularySize, provider: target.provider, maxBatchTokens });
  return rows * vocabularySize * (size + 4 + 4);
}

type Formats = Work['formats'];

/** The matrix of a head in whole bytes becomes numbers once for all chunks. */
function headBytes({ head, hidden, vocabularySize }: Decoder, formats: Formats, size: number) {
  if (head.task === 'Reward') return 0;
  const { tiedTo, name } = head.projection;
  const found = [...formats].find(([spec]) => spec.name === (tiedTo ?? `${name}.weight`));
  return found?.[1] === 'Int8' ? hidden * vocabularySize * size : 0;
}

/** Any other matrix in blocks becomes numbers for the time of its product. */
function scratchBytes(formats: Formats, size: number): number {
  let largest = 0;
  for (const [{ shape }, format] of formats) {
    if (format === 'AsIs') continue;
    const whole = elements(shape) * size;
    largest = Math.max(largest, format === 'NF4' ? whole : Math.min(whole, maxScratchBytes));
  }
  return largest;
}
