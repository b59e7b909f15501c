// Products of large matrices on all threads of the runtime.
import { product, productGraph } from '../../onnx/arch/segments.ts';
import type { Matrix, Multiply } from '../../quant/matrix.ts';
import { Engine, type Feed } from '../engine.ts';

export interface Multiplier extends AsyncDisposable {
  readonly multiply: Multiply;
}

export async function openMultiplier(threads: number): Promise<Multiplier> {
  const engines = {
    Plain: await Engine.load(productGraph(false), { threads }),
    Transposed: await Engine.load(productGraph(true), { threads }),
  };
  return {
    async multiply(a, b, how) {
      const feeds = { [product.a.name]: feed(a), [product.b.name]: feed(b) };
      return (await engines[how].run(feeds)).floats(product.c);
    },
    async [Symbol.asyncDispose]() {
      await engines.Plain.release();
      await engines.Transposed.release();
    },
  };
}

const feed = ({ values, rows, columns }: Matrix): Feed => {
  return { type: 'float32', data: values, shape: [rows, columns] };
};
