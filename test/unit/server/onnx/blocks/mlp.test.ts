import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatedMlp } from '../../../../../server/onnx/blocks/mlp.ts';
import { float32Tensor } from '../../../../../server/onnx/graph.ts';
import { floats, runBlock } from '../../../../support/run-graph.ts';

describe('gatedMlp', () => {
  it('multiplies the SiLU of the gate with the other projection', async () => {
    const one = (name: string, value: number) => {
      const tensor = float32Tensor(Float32Array.of(value), [1, 1]);
      return { name, weight: { format: 'Float', tensor } as const };
    };
    const layers = { gate: one('g', 2), up: one('u', 3), down: one('d', 5) };

    const { y } = await runBlock({ x: floats([2, 1], [1, -0.5]) }, (tape, { x }) => ({
      y: gatedMlp(tape, x, layers),
    }));

    const silu = (v: number) => v / (1 + Math.exp(-v));
    const expected = [5 * silu(2) * 3, 5 * silu(-1) * -1.5];
    expected.forEach((value, i) => assert.ok(Math.abs(value - y!.data[i]!) < 1e-5));
  });
});
