import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Activation,
  activationNamed,
  activationNames,
  type Mlp,
  mlp,
} from '../../../../../server/onnx/blocks/mlp.ts';
import {
  array,
  floats,
  largestDifference,
  multiply,
  noise,
  runBlock,
  scopeOf,
  weightsOf,
} from '../../../../support/run-graph.ts';

const [n, h, m] = [3, 6, 10];
const x = noise(n * h, 1);
const [gate, up, down] = [noise(m * h, 2), noise(m * h, 3), noise(h * m, 4)];
const [upBias, downBias] = [noise(m, 5), noise(h, 6)];
const weights = weightsOf({
  'gate.weight': array([m, h], gate),
  'up.weight': array([m, h], up),
  'up.bias': array([m], upBias),
  'down.weight': array([h, m], down),
  'down.bias': array([h], downBias),
  'gate_up.weight': array([2 * m, h], Float32Array.of(...gate, ...up)),
});
const inward = (name: string) => ({ name, rows: m, columns: h });
const outward = { name: 'down', rows: h, columns: m };

async function run(layer: Mlp): Promise<number[]> {
  const { y } = await runBlock({ x: floats([n, h], x) }, (tape, inputs) => ({
    y: mlp(scopeOf(tape, weights), inputs.x, layer),
  }));
  return y!.data;
}

/** erf, by its series. */
function erf(z: number): number {
  let [term, sum] = [z, z];
  for (let k = 1; k < 60; k++) {
    term *= -(z ** 2) / k;
    sum += term / (2 * k + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z));
const functions: Readonly<Record<Activation, (z: number) => number>> = {
  SiLU: (z) => z * sigmoid(z),
  QuickGELU: (z) => z * sigmoid(1.702 * z),
  ReLU: (z) => Math.max(0, z),
  GELU: (z) => 0.5 * z * (1 + erf(z / Math.SQRT2)),
  TanhGELU: (z) => 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z ** 3))),
};

const gated = (activation: Activation): number[] => {
  const gates = multiply(x, gate, h).map(functions[activation]);
  const ups = multiply(x, up, h);
  return multiply(
    gates.map((value, i) => value * ups[i]!),
    down,
    m,
  );
};

describe('mlp', () => {
  for (const activation of Object.keys(functions) as Activation[]) {
    it(`multiplies ${activation} of the gate with the other projection`, async () => {
      const layer: Mlp = {
        kind: 'Gated',
        gate: inward('gate'),
        up: inward('up'),
        down: outward,
        activation,
      };

      assert.ok(largestDifference(gated(activation), await run(layer)) < 2e-6, 'differs');
    });
  }

  it('takes gate and up from one matrix, gate first', async () => {
    const gateUp = { name: 'gate_up', rows: 2 * m, columns: h };
    const layer: Mlp = { kind: 'GatedFused', gateUp, down: outward, activation: 'SiLU' };

    assert.ok(largestDifference(gated('SiLU'), await run(layer)) < 2e-6, 'differs');
  });

  it('may have no gate, and biases', async () => {
    const layer: Mlp = {
      kind: 'Plain',
      up: { ...inward('up'), hasBias: true },
      down: { ...outward, hasBias: true },
      activation: 'ReLU',
    };

    const inner = multiply(x, up, h).map((value, i) => Math.max(0, value + upBias[i % m]!));
    const expected = multiply(inner, down, m).map((value, i) => value + downBias[i % h]!);
    assert.ok(largestDifference(expected, await run(layer)) < 2e-6, 'differs');
  });
});

describe('activationNamed', () => {
  it('knows the names it lists and no other', () => {
    assert.ok(activationNames.includes('silu'), 'silu is missing');
    assert.ok(
      activationNames.every((name) => activationNamed(name)),
      'a listed name is unknown',
    );
    assert.equal(activationNamed('mish'), undefined);
    assert.equal(activationNamed('toString'), undefined);
  });
});
