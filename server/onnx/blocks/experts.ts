// Sparse mixtures of experts: each token goes through the few feed-forward layers that a router picks for it.
// Source: Switch Transformers (arXiv:2101.03961), Mixtral (arXiv:2401.04088).
import { int, int64Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import { linear } from './linear.ts';
import { type Mlp, mlp } from './mlp.ts';
import { converted } from './numbers.ts';
import { at, type Scope } from './scope.ts';
import type { Linear } from './weights.ts';

export interface Experts {
  readonly kind: 'Experts';
  readonly router: Linear;
  readonly experts: readonly Mlp[];
  readonly perToken: number;
  /** The weights of the chosen experts are scaled to a sum of one. */
  readonly isNormalized: boolean;
}

/**
 * x [n, h] → [n, h]
 *
 *   x ─ router ─ Softmax ─ TopK ─┬─ weights [n, k] ─────────────────────────────────────┐
 *   │                            └─ ids [n, k] ─ per expert: which of the n·k pairs      │
 *   └─ per expert: Gather(its pairs) ─ mlp ─ Concat ─ Gather(back in order) ─ [n, k, h] ─┴─ weighted sum
 *
 * The tokens of an expert are computed together and no token twice; an expert that nobody chose gets zero rows.
 */
export function experts(scope: Scope, x: Value, layer: Experts): Value {
  const { tape, target } = scope;
  const { type } = target;
  const { weights, ids } = route(at(scope, 'router'), x, layer);
  const perToken = tape.constant(`per_token_${layer.perToken}`, int64Tensor([layer.perToken], [1]));
  const flat = tape.constant('flat', int64Tensor([-1], [1]));
  const pairs = tape.op('Reshape', [ids, flat]);
  const chosen = layer.experts.map((_, e) => {
    const inner = tape.at(`experts.${e}`);
    const found = pairsOf(inner, pairs, e);
    return target.provider === 'CPU' ? neverAlone(inner, found) : found;
  });
  const outputs = layer.experts.map((expert, e) => {
    const inner = { ...at(scope, `experts.${e}`), observe: () => {} };
    const rows = inner.tape.op('Div', [chosen[e], perToken]);
    return mlp(inner, inner.tape.op('Gather', [x, rows], { axis: int(0) }), expert);
  });
  const byExpert = tape.op('Concat', outputs, { axis: int(0) }); // [n·k, h]
  const back = inverse(tape, tape.op('Concat', chosen, { axis: int(0) }), pairs);
  const inOrder = tape.op('Gather', [byExpert, back], { axis: int(0) });
  const middle = tape.constant('axis_1', int64Tensor([1], [1]));
  const shape = tape.constant(
    `per_token_rows_${layer.perToken}`,
    int64Tensor([-1, layer.perToken, layer.router.columns], [3]),
  );
  const sum = tape.op('MatMul', [
    tape.op('Unsqueeze', [converted(tape, weights, { from: 'float32', to: type }), middle]), // [n, 1, k]
    tape.op('Reshape', [inOrder, shape]), // [n, k, h]
  ]);
  return tape.op('Squeeze', [sum, middle]);
}

/** float32 and int64 [n, k] */
function route(scope: Scope, x: Value, layer: Experts): Record<'weights' | 'ids', Value> {
  const { tape } = scope;
  const logits = linear(scope, x, layer.router);
  const wide = converted(tape, logits, { from: scope.target.type, to: 'float32' });
  const shares = tape.op('Softmax', [wide], { axis: int(-1) });
  const k = tape.constant(`top_${layer.perToken}`, int64Tensor([layer.perToken], [1]));
  const [weights, ids] = tape.ops('TopK', [shares, k], {}, ['weights', 'ids']);
  if (!layer.isNormalized) return { weights, ids };
  const last = tape.constant('axis_1', int64Tensor([1], [1]));
  return { weights: tape.op('Div', [weights, tape.op('ReduceSum', [weights, last])]), ids };
}

/** Where in `pairs` [n·k] the expert stands: int64 [m]. */
function pairsOf(tape: Tape, pairs: Value, expert: number): Value {
  const id = tape.constant(`expert_${expert}`, int64Tensor([expert], []));
  const found = tape.op('NonZero', [tape.op('Equal', [pairs, id])]); // [1, m]
  return tape.op('Squeeze', [found, tape.constant('index_0', int64Tensor([0], [1]))]);
}

/**
 * The first pair once more, where there is one. The runtime sums up a row that is alone in another order: with a second
 * one a token gets the same bits whoever else chose its expert.
 */
function neverAlone(tape: Tape, found: Value): Value {
  const zero = tape.constant('index_0', int64Tensor([0], [1]));
  const one = tape.constant('index_1', int64Tensor([1], [1]));
  return tape.op('Concat', [found, tape.op('Slice', [found, zero, one])], { axis: int(0) });
}

/** Where in order [m] each index of `like` stands: one of the places where it stands twice. */
function inverse(tape: Tape, order: Value, like: Value): Value {
  const zero = tape.constant('scalar_0', int64Tensor([0], []));
  const one = tape.constant('scalar_1', int64Tensor([1], []));
  const count = tape.op('Size', [order]);
  const counting = tape.op('Range', [zero, count, one]);
  return tape.op('ScatterElements', [like, order, counting], { axis: int(0) });
}
