// Products of large matrices on all threads of the runtime.
import { product, productGraph } from '../../onnx/arch/segments.ts';
import { type Matrix, type Multiply, part, type Range, rangesOf } from '../../quant/matrix.ts';
import { Engine, type Feed } from '../engine.ts';

export interface Multiplier extends AsyncDisposable {
  readonly multiply: Multiply;
  /** Adds aᵀ·b [a.columns, b.columns] to `sum`, in stripes: the product never stands as a whole beside it. */
  readonly addSquare: (sum: Matrix, a: Matrix, b: Matrix) => Promise<void>;
}

/** Columns of a stripe. */
const stripe = 1024;

export async function openMultiplier(threads: number): Promise<Multiplier> {
  const engines = {
    Plain: await Engine.load(productGraph(), { threads }),
    Square: await Engine.load(productGraph({ a: true }), { threads }),
    Transposed: await Engine.load(productGraph({ b: true }), { threads }),
  };
  return {
    async multiply(a, b, how) {
      const feeds = { [product.a.name]: feed(a), [product.b.name]: feed(b) };
      return (await engines[how].run(feeds)).floats(product.c);
    },
    async addSquare(sum, a, b) {
      for (const columns of rangesOf(b.columns, stripe)) {
        const some = part(b, { from: 0, to: b.rows }, columns);
        const feeds = { [product.a.name]: feed(a), [product.b.name]: feed(some) };
        add(sum, (await engines.Square.run(feeds)).floats(product.c), columns);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const engine of Object.values(engines)) await engine.release();
    },
  };
}

const feed = ({ values, rows, columns }: Matrix): Feed => {
  return { type: 'float32', data: values, shape: [rows, columns] };
};

/** `values` [sum.rows, columns] to those columns of `sum`. */
function add(
  { rows, columns: width, values: sums }: Matrix,
  values: Float32Array,
  { from, to }: Range,
) {
  for (let row = 0, at = 0; row < rows; row++) {
    for (let i = row * width + from; i < row * width + to; i++, at++) {
      sums[i] = (sums[i] ?? 0) + (values[at] ?? 0);
    }
  }
}
