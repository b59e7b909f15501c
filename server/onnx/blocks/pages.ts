// Attention over packed tokens without any padding: keys and values lie in pages, and rows that begin alike name the
// same ones. Source: PagedAttention (arXiv:2309.06180), as ONNX Runtime's operator of that name for CUDA has it.
import { float, int, type Port } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Target } from '../target.ts';
import type { Attention, Inputs, Rotation, TableRotation } from './attention.ts';
import { joined, linear } from './linear.ts';
import type { Norm } from './norm.ts';
import { converted, floatConstant } from './numbers.ts';
import { kernelAttributes } from './rectangles.ts';
import { at, type Scope } from './scope.ts';
import { narrow, widen, widened } from './shapes.ts';
import { headsPerRun, turnedHeads } from './turns.ts';
import { type Linear, vector } from './weights.ts';

/** Graph inputs that say which tokens attend to which. See batch/pages.ts for how they are made. */
export const pageInputs = {
  /** Where the tokens of each row begin that are computed for it, and the end of the last row's. */
  starts: { name: 'query_starts', type: 'int32', shape: ['starts'] },
  /** How many tokens stand before them in pages that another row fills: a whole number of pages. */
  past: { name: 'past_lengths', type: 'int32', shape: ['rows'] },
  /** The pages of each row in order; the rest is ignored. */
  table: { name: 'page_table', type: 'int32', shape: ['rows', 'pages'] },
  /** int32 [2]: most tokens that are computed for a row, and the longest row. Spares a wait for the device per layer. */
  bounds: { name: 'length_bounds', type: 'int32', shape: [2] },
} as const satisfies Record<string, Port>;

/** int64 [4]: pages, tokens of a page, and what a token has in each. */
export const cacheInput = (kvHeads: number, width: number) =>
  ({ name: `cache_${kvHeads}x${width}`, type: 'int64', shape: [4] }) as const satisfies Port;

type Caches = Readonly<Record<'keys' | 'values', Value>>;

export type Pages = { readonly kind: 'Pages' } & Readonly<
  Record<keyof typeof pageInputs, Value>
> & {
    /** [pages, tokens, kvHeads, d] each: filled by every layer in turn. */
    readonly caches: ReadonlyMap<string, Caches>;
  };

/** The distinct [kvHeads, width] of layers. */
export function cacheSizes(layers: readonly Attention[]): readonly (readonly [number, number])[] {
  const sizes = layers.map(({ kvHeads, headDim }) => [kvHeads, widened(headDim)] as const);
  return [...new Map(sizes.map((size) => [String(size), size])).values()];
}

/** Most numbers of a head that the kernel takes. */
const maxHeadDim = 256;

export const fitsPages = ({ headDim }: Attention): boolean => widened(headDim) <= maxHeadDim;

/** Tokens of a page: the kernel reads so many at once that a tile never crosses the border of a page of this size. */
export function pageTokensFor(layers: readonly Attention[]): number {
  const tiles = layers.map(({ headDim }) => (headDim <= 64 ? 256 : headDim <= 128 ? 128 : 64));
  return Math.max(...tiles);
}

export function pagesLayout(tape: Tape, target: Target, layers: readonly Attention[]): Pages {
  // Two numbers: of one the runtime would make one cache for both.
  const filled = (number: number, shape: Value) => {
    const constant = floatConstant(tape, number);
    const { type } = target;
    return tape.op('Expand', [converted(tape, constant, { from: 'float32', to: type }), shape]);
  };
  const caches = cacheSizes(layers).map((size) => {
    const shape = tape.input(cacheInput(...size));
    return [String(size), { keys: filled(0, shape), values: filled(1, shape) }] as const;
  });
  return {
    kind: 'Pages',
    starts: tape.input(pageInputs.starts),
    past: tape.input(pageInputs.past),
    table: tape.input(pageInputs.table),
    bounds: tape.input(pageInputs.bounds),
    caches: new Map(caches),
  };
}

/** Whether the kernel can rotate heads itself, by a table of positions. */
export const canRotate = ({ headDim }: Attention, dim: number): boolean =>
  headDim % 16 === 0 && dim % 16 === 0;

interface Given {
  readonly pages: Pages;
  readonly rotation?: Rotation;
  readonly inputs: () => Inputs;
}

/** x [N, h] → [N, heads·d] */
export function attendPages(scope: Scope, x: Value, layer: Attention, given: Given): Value {
  const { tape } = scope;
  const { starts, past, table, bounds } = given.pages;
  const { tokens, norms, turns } = tokensFor(scope, x, layer, given);
  const inputs: Partial<Record<(typeof kernelInputs)[number], Value>> = {
    ...tokens,
    ...cachesOf(given.pages, layer),
    starts,
    past,
    table,
    bounds,
    ...(turns && { cos: turns.cos, sin: turns.sin }),
    ...(norms && { qNorm: norms.q, kNorm: norms.k }),
  };
  const output = tape.op(
    'PagedAttention',
    kernelInputs.map((name) => inputs[name]),
    {
      ...kernelAttributes(layer),
      do_rotary: int(turns ? 1 : 0),
      ...(norms && { qk_norm_epsilon: float(norms.epsilon) }),
    },
  );
  return narrow(tape, output, layer);
}

/** In the order of the operator. Those that we never give are named as there. */
const kernelInputs = [
  'q',
  'k',
  'v',
  'keys',
  'values',
  'starts',
  'past',
  'table',
  'cos',
  'sin',
  'slot_mapping',
  'head_sink',
  'qNorm',
  'kNorm',
  'k_scale',
  'v_scale',
  'bounds',
] as const;

function cachesOf({ caches }: Pages, { kvHeads, headDim }: Attention): Caches {
  const found = caches.get(String([kvHeads, widened(headDim)]));
  if (!found) throw new RangeError(`there is no cache for ${kvHeads} heads of ${headDim}`);
  return found;
}

/** What the kernel takes of the tokens: `q` alone holds queries, keys and values side by side. */
interface Tokens {
  readonly tokens: { readonly q: Value; readonly k?: Value; readonly v?: Value };
  /** What the kernel is to normalize queries and keys by. */
  readonly norms?: { readonly q: Value; readonly k: Value; readonly epsilon: number };
  /** What it is to rotate them by, after that. */
  readonly turns?: TableRotation;
}

function tokensFor(scope: Scope, x: Value, layer: Attention, { rotation, inputs }: Given): Tokens {
  if (rotation?.of === 'Tokens') return apart(scope, inputs(), layer);
  const turned = rotation && turnedTokens(scope, x, layer, rotation);
  return (
    turned ?? { ...(inOne(scope, x, layer) ?? apart(scope, inputs(), layer)), turns: rotation }
  );
}

function apart({ tape, target }: Scope, { q, k, v }: Inputs, layer: Attention): Tokens {
  const { heads, kvHeads, headDim } = layer;
  const wide = (x: Value, count: number) => widen(tape, x, { count, headDim, target });
  return { tokens: { q: wide(q, heads), k: wide(k, kvHeads), v: wide(v, kvHeads) } };
}

/** Wider heads are not rotated faster before the kernel than in it. */
const maxTurnedDim = 64;

/** Rotated before the kernel, where heads are small, rotated as a whole, and nothing else is to be done with them. */
function turnedTokens(
  scope: Scope,
  x: Value,
  layer: Attention,
  table: TableRotation,
): Tokens | undefined {
  const { qkv, heads, kvHeads, headDim } = layer;
  const isWhole = table.dim === headDim && headsPerRun(heads, headDim) > 1;
  if (headDim > maxTurnedDim) return undefined;
  if (qkv.kind !== 'Separate' || layer.qNorm || layer.kNorm || !isWhole) return undefined;
  const side = (name: string, linear: Linear, count: number) =>
    turnedHeads(at(scope, name), x, linear, { of: table, count });
  const q = side('q', qkv.q, heads);
  const k = side('k', qkv.k, kvHeads);
  return q && k && { tokens: { q, k, v: linear(at(scope, 'v'), x, qkv.v) } };
}

/** From one product, where nothing but the kernel need look at them. */
function inOne(scope: Scope, x: Value, layer: Attention): Tokens | undefined {
  const { qkv, qNorm, kNorm, headDim } = layer;
  const areNormed = qNorm !== undefined || kNorm !== undefined;
  const norms = qNorm && kNorm && kernelNorms(scope, { q: qNorm, k: kNorm }, headDim);
  if (headDim !== widened(headDim) || (areNormed && !norms)) return undefined;
  const inner = at(scope, 'qkv');
  if (qkv.kind === 'Fused') return { tokens: { q: linear(inner, x, qkv.qkv) }, norms };
  const product = qkv.kind === 'Separate' ? joined(inner, [qkv.q, qkv.k, qkv.v]) : undefined;
  return product && { tokens: { q: product(inner.tape, x) }, norms };
}

function kernelNorms(scope: Scope, norms: { q: Norm; k: Norm }, headDim: number): Tokens['norms'] {
  const { q, k } = norms;
  const fits = ({ kind, length, isShifted }: Norm) =>
    kind === 'RMS' && length === headDim && !isShifted;
  if (!fits(q) || !fits(k) || q.epsilon !== k.epsilon) return undefined;
  const weight = ({ name, length }: Norm) => vector(scope, `${name}.weight`, length);
  return { q: weight(q), k: weight(k), epsilon: q.epsilon };
}
