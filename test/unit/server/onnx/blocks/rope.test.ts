import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  frequencies,
  longropeAttentionFactor,
  type Rope,
  RopeTable,
  regimeOf,
  yarnAttentionFactor,
} from '../../../../../server/onnx/blocks/rope.ts';

const theta = 10_000;
const dim = 64;
const basis = { theta, dim };
const plain: Rope = { ...basis, type: 'default' };
const kept = frequencies(plain);
const dynamic: Rope = { ...basis, type: 'dynamic', factor: 2, originalPositions: 16 };
const longrope: Rope = {
  theta,
  dim: 4,
  type: 'longrope',
  originalPositions: 16,
  attentionFactor: 3,
  shortFactors: [1, 2],
  longFactors: [4, 8],
};
const yarn: Rope = {
  ...basis,
  type: 'yarn',
  factor: 4,
  originalPositions: 512,
  attentionFactor: 2,
  betaFast: 32,
  betaSlow: 1,
  isTruncated: true,
};

describe('frequencies', () => {
  it('fall from one radian by powers of theta', () => {
    assert.equal(kept[0], 1);
    assert.ok(Math.abs(kept[16]! - 0.01) < 1e-15, `${kept[16]}`);
  });

  it('of linear scaling are all slowed by the factor', () => {
    const scaled = frequencies({ ...basis, type: 'linear', factor: 4 });

    assert.deepEqual(
      scaled,
      kept.map((frequency) => frequency / 4),
    );
  });

  it('of dynamic scaling fall with the length of the row, once it is longer than the original', () => {
    assert.deepEqual(frequencies(dynamic, regimeOf(dynamic, 16)), kept);

    const base = theta * ((2 * 40) / 16 - 1) ** (64 / 62);
    const expected = frequencies({ ...plain, theta: base });
    assert.deepEqual(frequencies(dynamic, regimeOf(dynamic, 40)), expected);
  });

  it('of llama3 scaling keep short waves, slow long ones and mix between', () => {
    const settings = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4 };
    const scaled = frequencies({ ...basis, type: 'llama3', ...settings, originalPositions: 512 });

    assert.equal(scaled[0], kept[0]);
    assert.equal(scaled[31], kept[31]! / 8);
    const mixed = [...scaled].filter((f, i) => f < kept[i]! && f > kept[i]! / 8);
    assert.ok(mixed.length > 0, 'none is between');
  });

  it('of yarn scaling go from kept to slowed along the dimensions', () => {
    const shares = [...frequencies(yarn)].map((frequency, i) => frequency / kept[i]!);

    assert.equal(shares[0], 1);
    assert.ok(Math.abs(shares[31]! - 1 / 4) < 1e-15, `${shares[31]}`);
    assert.deepEqual(
      shares,
      [...shares].sort((a, b) => b - a),
    );
  });

  it('of yarn scaling may start and end between dimensions', () => {
    assert.notDeepEqual(frequencies({ ...yarn, isTruncated: false }), frequencies(yarn));
  });

  it('of longrope scaling are slowed one by one, in long rows otherwise than in short ones', () => {
    assert.deepEqual(frequencies(longrope, 0), Float64Array.of(1, 0.01 / 2));
    assert.deepEqual(frequencies(longrope, 1), Float64Array.of(1 / 4, 0.01 / 8));
  });
});

describe('regimeOf', () => {
  it('is one for all rows where the length does not matter', () => {
    assert.equal(regimeOf(plain, 1), regimeOf(plain, 1e6));
    assert.equal(regimeOf(yarn, 1), regimeOf(yarn, 1e6));
  });

  it('parts rows that are longer than what the model was first trained on', () => {
    assert.deepEqual(
      [16, 17, 99].map((length) => regimeOf(longrope, length)),
      [0, 1, 1],
    );
    assert.deepEqual(
      [16, 17, 99].map((length) => regimeOf(dynamic, length)),
      [0, 17, 99],
    );
  });
});

describe('RopeTable', () => {
  const cosineOf = (rope: Rope, position: number, length: number): number =>
    Math.fround(Math.cos(position * frequencies(rope, regimeOf(rope, length))[1]!));

  it('holds cosine and sine of position times frequency, times the attention factor', () => {
    const { cos, sin } = new RopeTable(yarn).rows(Int32Array.of(0, 2), Int32Array.of(3, 3));

    assert.equal(cos.length, 2 * 32);
    assert.deepEqual([cos[0], sin[0]], [2, 0]);
    assert.equal(cos[32], Math.fround(2 * Math.cos(2)));
    assert.equal(sin[32], Math.fround(2 * Math.sin(2)));
  });

  it('gives the same for a token whatever was asked before', () => {
    const tokens = fc.array(fc.record({ position: fc.nat(700), more: fc.nat(50) }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(fc.array(tokens, { minLength: 1, maxLength: 4 }), (batches) => {
        for (const rope of [plain, dynamic, { ...longrope, attentionFactor: 1 }]) {
          const table = new RopeTable(rope);
          for (const batch of batches) {
            const positions = Int32Array.from(batch, ({ position }) => position);
            const lengths = Int32Array.from(batch, ({ position, more }) => position + 1 + more);
            const { cos } = table.rows(positions, lengths);
            positions.forEach((position, i) => {
              const expected = cosineOf(rope, position, lengths[i]!);
              assert.equal(cos[(i * rope.dim) / 2 + 1], expected);
            });
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('has nothing for no tokens', () => {
    const { cos, sin } = new RopeTable(plain).rows(new Int32Array(), new Int32Array());

    assert.deepEqual([cos.length, sin.length], [0, 0]);
  });
});

describe('the growth of attention logits', () => {
  it('with yarn is one without scaling and grows with the logarithm of the factor', () => {
    assert.equal(yarnAttentionFactor(1), 1);
    assert.ok(Math.abs(yarnAttentionFactor(Math.E) - 1.1) < 1e-15, 'differs');
    assert.ok(Math.abs(yarnAttentionFactor(Math.E, 2) - 1.2) < 1e-15, 'differs');
  });

  it('with longrope is one without scaling and goes by the original length', () => {
    assert.equal(longropeAttentionFactor(1, 4096), 1);
    assert.ok(Math.abs(longropeAttentionFactor(4096, 4096) - Math.SQRT2) < 1e-15, 'differs');
  });
});
