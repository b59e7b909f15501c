// A decoder-only transformer as data, and the graph of it. The families beside this file only say what theirs looks like.
import { type Attention, attention, type Layout, type Rotation } from '../blocks/attention.ts';
import { type Experts, experts } from '../blocks/experts.ts';
import { type LogProbHead, logProbHead } from '../blocks/head.ts';
import { type Mlp, mlp } from '../blocks/mlp.ts';
import { addAndNormalize, type Norm, normalize } from '../blocks/norm.ts';
import { castTo, converted, times } from '../blocks/numbers.ts';
import { canRotate, fitsPages, pagesLayout, pageTokensFor } from '../blocks/pages.ts';
import { rectanglesLayout } from '../blocks/rectangles.ts';
import { rewardHead } from '../blocks/reward.ts';
import { isOneRegime, type Rope } from '../blocks/rope.ts';
import { at, type Scope } from '../blocks/scope.ts';
import { embedding, type Linear, type MatrixShape, type Weights } from '../blocks/weights.ts';
import { type Graph, int64Tensor, type Port } from '../graph.ts';
import { Tape, type Value } from '../tape.ts';
import { cpuTarget, type Target } from '../target.ts';

/** A transformer. Hidden rows are [n, h] throughout, n the packed tokens of a batch. */
export interface Decoder {
  readonly hidden: number;
  readonly vocabularySize: number;
  /** Longest sequence that the checkpoint is made for. */
  readonly contextTokens: number;
  readonly embedding: Embedding;
  /** Layers name theirs by its index. */
  readonly ropes: readonly Rope[];
  readonly layers: readonly Layer[];
  /** After the last layer. */
  readonly norm: Norm;
  readonly head: Head;
}

export interface Embedding {
  /** Full name of the tensor [V, h]. */
  readonly name: string;
  /** The rows are multiplied by it. */
  readonly scale?: number;
  /** Learned positions [positions, h], added to the rows. */
  readonly positions?: { readonly name: string; readonly rows: number };
}

/**
 * x + attention(…) + mlp(…), each with norms before and after it where the family has them.
 * `isParallel`: both read the same x, otherwise the second reads the sum.
 */
export interface Layer {
  readonly attention: Attention;
  /** Which of the ropes turns the queries and keys. */
  readonly rope?: number;
  readonly mlp: Mlp | Experts;
  readonly beforeAttention?: Norm;
  readonly afterAttention?: Norm;
  readonly beforeMlp?: Norm;
  readonly afterMlp?: Norm;
  readonly isParallel?: boolean;
  /** What attention and mlp give is multiplied by it. */
  readonly residualScale?: number;
}

export type Head =
  | ({ readonly task: 'LogProbs' } & LogProbHead)
  | { readonly task: 'Reward'; readonly score: Linear };

/** Graph inputs besides those of attention and head. */
export const tokenInputs = {
  /** The packed tokens of a batch: see pack.ts. */
  tokens: { name: 'tokens', type: 'int32', shape: ['tokens'] },
  /** Where each stands in its row. Only in graphs with learned positions. */
  positions: { name: 'positions', type: 'int32', shape: ['tokens'] },
} as const satisfies Record<string, Port>;

/** The angles for each of the decoder's ropes, of what `rotationOf` says. */
export const ropeInputs = (index: number, dim: number) =>
  ({
    cos: { name: `rope.${index}.cos`, type: 'float32', shape: [`angles_${index}`, dim / 2] },
    sin: { name: `rope.${index}.sin`, type: 'float32', shape: [`angles_${index}`, dim / 2] },
  }) as const satisfies Record<string, Port>;

export const attentions = ({ layers }: Pick<Decoder, 'layers'>): Attention[] =>
  layers.map((layer) => layer.attention);

/** How tokens are laid out for attention. */
export const layoutOf = (
  decoder: Pick<Decoder, 'layers'>,
  { provider, type }: Target,
): Layout['kind'] =>
  provider === 'CUDA' && type !== 'float32' && attentions(decoder).every(fitsPages)
    ? 'Pages'
    : 'Rectangles';

/** Tokens of a page, where attention is laid out in pages: what rows begin with is shared in whole ones. */
export const pageTokensOf = (decoder: Pick<Decoder, 'layers'>, target: Target) =>
  layoutOf(decoder, target) === 'Pages' ? pageTokensFor(attentions(decoder)) : undefined;

/** Whether the angles of a rope come for each token, or for each position. */
export function rotationOf(
  decoder: Pick<Decoder, 'layers'>,
  rope: Rope,
  target: Target,
): Rotation['of'] {
  const isForKernel = attentions(decoder).every((attention) => canRotate(attention, rope.dim));
  const areForAll = isOneRegime(rope) && layoutOf(decoder, target) === 'Pages';
  return areForAll && isForKernel ? 'Positions' : 'Tokens';
}

/**
 * The whole model:
 *
 *   tokens ─ embedding ─ layer ─ … ─ layer ─ norm ─ head
 */
export function decoderGraph(decoder: Decoder, weights: Weights, target = cpuTarget): Graph {
  const tape = Tape.start('/model');
  const scope: Scope = { tape, weights, target, observe: () => {} };
  const shared = sharedInputs(scope, decoder);
  let stream: Stream = { sum: embed(at(scope, 'embed'), decoder) };
  for (const [index, layer] of decoder.layers.entries()) {
    stream = decoderLayer(at(scope, `layers.${index}`), stream, layer, shared);
  }
  decoderHead(scope, stream, decoder);
  return tape.finish();
}

/** What every layer reads. */
export interface Shared {
  readonly layout: Layout;
  readonly rotations: readonly Rotation[];
}

export function sharedInputs(
  { tape, target }: Scope,
  decoder: Pick<Decoder, 'layers' | 'ropes'>,
): Shared {
  const rotations = decoder.ropes.map((rope, index) => {
    const { dim } = rope;
    const ports = ropeInputs(index, dim);
    const angles = (port: Port) =>
      converted(tape, tape.input(port), { from: 'float32', to: target.type });
    const turns = { cos: angles(ports.cos), sin: angles(ports.sin), dim };
    const of = rotationOf(decoder, rope, target);
    return of === 'Tokens' ? { of, ...turns } : { of, ...turns, positions: positionsOf(tape) };
  });
  const isPaged = layoutOf(decoder, target) === 'Pages';
  const layout = isPaged ? pagesLayout(tape, target, attentions(decoder)) : rectanglesLayout(tape);
  return { layout, rotations };
}

/** int64 [1, n] */
const positionsOf = (tape: Tape): Value =>
  tape.once('positions as a batch', () => {
    const wide = castTo(tape, tape.input(tokenInputs.positions), 'int64');
    return tape.op('Unsqueeze', [wide, tape.constant('index_0', int64Tensor([0], [1]))]);
  });

/** The residual stream: a sum, and what the last block gave, not added yet since the next norm can do that on its way. */
export interface Stream {
  readonly sum: Value;
  readonly delta?: Value;
}

export const added = (tape: Tape, { sum, delta }: Stream): Value =>
  delta ? tape.op('Add', [sum, delta]) : sum;

/** What a block reads, and the stream with everything added. */
function read(scope: Scope, stream: Stream, norm: Norm | undefined): { x: Value; sum: Value } {
  if (norm && stream.delta) {
    const { normed, sum } = addAndNormalize(scope, stream.sum, stream.delta, norm);
    return { x: normed, sum };
  }
  const sum = added(scope.tape, stream);
  return { x: norm ? normalize(scope, sum, norm) : sum, sum };
}

export function embed(scope: Scope, { embedding: table, hidden, vocabularySize }: Decoder): Value {
  const { tape } = scope;
  const tokens = tape.input(tokenInputs.tokens);
  const shape: MatrixShape = { rows: vocabularySize, columns: hidden };
  const rows = embedding(scope, tokens, table.name, shape);
  const scaled = table.scale === undefined ? rows : times(tape, scope.target, rows, table.scale);
  if (!table.positions) return scaled;
  const positions = tape.input(tokenInputs.positions);
  const places = { rows: table.positions.rows, columns: hidden };
  return tape.op('Add', [scaled, embedding(scope, positions, table.positions.name, places)]);
}

export function decoderLayer(scope: Scope, stream: Stream, layer: Layer, shared: Shared): Stream {
  const attend = at(scope, 'attn');
  const feed = at(scope, 'mlp');
  const rotation = layer.rope === undefined ? undefined : shared.rotations[layer.rope];
  const first = read(attend, stream, layer.beforeAttention);
  const mixed = attention(attend, first.x, layer.attention, { layout: shared.layout, rotation });
  const delta = finished(attend, mixed, layer.afterAttention, layer.residualScale);
  if (layer.isParallel) {
    const x = layer.beforeMlp ? normalize(feed, first.sum, layer.beforeMlp) : first.x;
    const fed = finished(
      feed,
      feedForward(feed, x, layer.mlp),
      layer.afterMlp,
      layer.residualScale,
    );
    return { sum: first.sum, delta: scope.tape.op('Add', [delta, fed]) };
  }
  const second = read(feed, { sum: first.sum, delta }, layer.beforeMlp);
  const fed = feedForward(feed, second.x, layer.mlp);
  return { sum: second.sum, delta: finished(feed, fed, layer.afterMlp, layer.residualScale) };
}

const feedForward = (scope: Scope, x: Value, layer: Mlp | Experts): Value =>
  layer.kind === 'Experts' ? experts(scope, x, layer) : mlp(scope, x, layer);

/** What a block adds to the stream. */
function finished(scope: Scope, x: Value, norm: Norm | undefined, scale = 1): Value {
  const normed = norm ? normalize(at(scope, 'after'), x, norm) : x;
  return scale === 1 ? normed : times(scope.tape, scope.target, normed, scale);
}

export const finalNorm = (scope: Scope, stream: Stream, { norm }: Decoder): Value =>
  read(at(scope, 'norm'), stream, norm).x;

function decoderHead(scope: Scope, stream: Stream, decoder: Decoder): void {
  const x = finalNorm(scope, stream, decoder);
  const { head } = decoder;
  if (head.task === 'Reward') rewardHead(scope, x, head.score);
  else logProbHead(scope, x, head);
}
