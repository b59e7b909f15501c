import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attendPlainly } from '../../../../../server/onnx/blocks/plain-attention.ts';
import { int64Tensor } from '../../../../../server/onnx/graph.ts';
import { cpuTarget } from '../../../../../server/onnx/target.ts';
import { floats, largestDifference, runBlock } from '../../../../support/run-graph.ts';

// attention.test.ts compares it with float64 over models and layouts; here is one that can be done by hand
describe('attendPlainly', () => {
  it('mixes the values that each query sees by the softmax of its products', async () => {
    const linear = { name: 'l', rows: 8, columns: 8 };
    const layer = {
      heads: 1,
      kvHeads: 1,
      headDim: 8,
      scale: 1,
      qkv: { kind: 'Fused', qkv: linear },
      output: linear,
    } as const;
    const row = (first: number) => [first, 0, 0, 0, 0, 0, 0, 0];
    const [q, k] = [
      [1, 2],
      [3, 4],
    ];

    const found = await runBlock(
      {
        q: floats([1, 2, 8], q.flatMap(row)),
        k: floats([1, 2, 8], k.flatMap(row)),
        v: floats([1, 2, 8], [10, 20].flatMap(row)),
        none: floats([1, 1, 0, 8], []),
      },
      (tape, { q, k, v, none }) => {
        const number = (value: number) => tape.constant(`n${value}`, int64Tensor([value], [1]));
        const one = {
          inputs: { q, k, v },
          cached: { k: none, v: none },
          rows: number(1),
          length: number(2),
          past: number(0),
        };
        return { y: attendPlainly(tape, cpuTarget, one, layer) };
      },
    );

    const share = 1 / (1 + Math.exp(2 * 4 - 2 * 3));
    const expected = [...row(10), ...row(10 * share + 20 * (1 - share))];
    assert.ok(largestDifference(expected, found['y']!.data) < 1e-5, 'differs');
  });
});
