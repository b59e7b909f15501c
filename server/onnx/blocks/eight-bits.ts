// Products with a weight in blocks of 8 bits that the CPU computes exactly: in float32, with what the codes stand for.
import { zeroCode } from '../../quant/blocks.ts';
import { int, int64Tensor, uint8Tensor } from '../graph.ts';
import type { Tape, Value } from '../tape.ts';
import type { Scope } from './scope.ts';
import { shapeConstant } from './shapes.ts';
import { type BlockWeight, inNumbers, type Product } from './weights.ts';

/**
 * The very numbers that MatMulNBits gives at level 0; there, to dequantize takes twenty times as long.
 *
 *   x ───── Shape ─ Min(0) ─┐
 *   codes [N·blocks, 32] ───┴─ Reshape ─ DequantizeLinear ─ Reshape [N, blocks·32] ─ Slice [N, K] ─ Gemm(x)
 *
 * The first Reshape changes nothing, since 0 keeps a dimension. It makes the weight wait for x: without it the runtime
 * would begin with those of all layers, and hold them. It never folds a DequantizeLinear.
 */
export function eightBits(scope: Scope, name: string, weight: BlockWeight): Product {
  const { tape } = scope;
  const { codes, scales, rows, columns, blockSize } = weight;
  const width = Math.ceil(columns / blockSize) * blockSize;
  const count = (rows * width) / blockSize;
  const byBlock = tape.constant(`${name}.codes by block`, { ...codes, shape: [count, blockSize] });
  const perBlock = [
    inNumbers(scope, `${name}.scales by block`, { ...scales, shape: [count] }),
    tape.constant(
      `middles_${count}`,
      uint8Tensor(new Uint8Array(count).fill(zeroCode(8)), [count]),
    ),
  ];
  const nothing = tape.constant('index_0', int64Tensor([0], [1]));
  const shape = shapeConstant(tape, [rows, width]);
  const cut = columns < width ? columnsUpTo(tape, columns) : (_: Tape, w: Value) => w;
  return (at, x) => {
    const same = at.op('Min', [at.op('Shape', [x]), nothing]);
    const waiting = at.op('Reshape', [byBlock, same]);
    const values = at.op('DequantizeLinear', [waiting, ...perBlock], { axis: int(0) });
    const w = cut(at, at.op('Reshape', [values, shape]));
    return at.op('Gemm', [x, w], { transB: int(1) });
  };
}

/** w [N, …] → w [N, columns] */
function columnsUpTo(tape: Tape, columns: number): (at: Tape, w: Value) => Value {
  const [from, to, axis] = [0, columns, 1].map((value) => shapeConstant(tape, [value]));
  return (at, w) => at.op('Slice', [w, from, to, axis]);
}
