import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addRmsNorm, rmsNorm } from '../../../../../server/onnx/blocks/norm.ts';
import { float32Tensor } from '../../../../../server/onnx/graph.ts';
import type { Tape } from '../../../../../server/onnx/tape.ts';
import { floats, largestDifference, noise, runBlock } from '../../../../support/run-graph.ts';

const [n, h, epsilon] = [3, 16, 0.01];
const gamma = noise(h, 9);
const weightOf = (tape: Tape) => tape.constant('g', float32Tensor(gamma, [h]));

function normalize(x: Float32Array): number[] {
  return Array.from(x, (value, at) => {
    const row = x.subarray(Math.floor(at / h) * h, (Math.floor(at / h) + 1) * h);
    const mean = row.reduce((sum, v) => sum + v * v, 0) / h;
    return (value / Math.sqrt(mean + epsilon)) * gamma[at % h]!;
  });
}

describe('rmsNorm', () => {
  it('divides each row by its root mean square and multiplies by the weight', async () => {
    const x = noise(n * h, 1);

    const { y } = await runBlock({ x: floats([n, h], x) }, (tape, inputs) => ({
      y: rmsNorm(tape, inputs.x, { weight: weightOf(tape), epsilon }),
    }));

    assert.ok(largestDifference(y!.data, normalize(x)) < 1e-6);
  });
});

describe('addRmsNorm', () => {
  it('gives the sum, and the norm of the sum', async () => {
    const [a, b] = [noise(n * h, 1), noise(n * h, 2)];
    const feeds = { a: floats([n, h], a), b: floats([n, h], b) };

    const { normed, sum } = await runBlock(feeds, (tape, inputs) =>
      addRmsNorm(tape, inputs.a, inputs.b, { weight: weightOf(tape), epsilon }),
    );

    const expected = a.map((value, i) => value + b[i]!);
    assert.ok(largestDifference(sum!.data, expected) < 1e-6);
    assert.ok(largestDifference(normed!.data, normalize(expected)) < 1e-6);
  });
});
