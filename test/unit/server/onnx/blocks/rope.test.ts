import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  frequencies,
  ropeTables,
  yarnAttentionFactor,
} from '../../../../../server/onnx/blocks/rope.ts';

const theta = 10_000;
const dim = 64;
const plain = frequencies({ type: 'default', theta }, dim);

describe('frequencies', () => {
  it('fall from one radian by powers of theta', () => {
    assert.equal(plain[0], 1);
    assert.ok(Math.abs(plain[16]! - 0.01) < 1e-15);
  });

  it('of linear scaling are all slowed by the factor', () => {
    const scaled = frequencies({ type: 'linear', theta, factor: 4 }, dim);

    assert.deepEqual(
      [...scaled],
      [...plain].map((frequency) => frequency / 4),
    );
  });

  it('of llama3 scaling keep short waves, slow long ones and mix between', () => {
    const settings = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4 };
    const rope = { type: 'llama3', theta, ...settings, originalPositions: 512 } as const;

    const scaled = frequencies(rope, dim);

    assert.equal(scaled[0], plain[0]);
    assert.equal(scaled[31], plain[31]! / 8);
    const mixed = [...scaled].filter((f, i) => f < plain[i]! && f > plain[i]! / 8);
    assert.ok(mixed.length > 0);
  });

  it('of yarn scaling go from kept to slowed along the dimensions', () => {
    const betas = { betaFast: 32, betaSlow: 1, attentionFactor: 1, isTruncated: true };
    const rope = { type: 'yarn', theta, factor: 4, originalPositions: 512, ...betas } as const;

    const kept = [...frequencies(rope, dim)].map((frequency, i) => frequency / plain[i]!);

    assert.equal(kept[0], 1);
    assert.ok(Math.abs(kept[31]! - 1 / 4) < 1e-15);
    assert.deepEqual(
      kept,
      [...kept].sort((a, b) => b - a),
    );
  });
});

describe('ropeTables', () => {
  it('hold cosine and sine of position times frequency, times the attention factor of yarn', () => {
    const betas = { betaFast: 32, betaSlow: 1, attentionFactor: 2, isTruncated: true };
    const rope = { type: 'yarn', theta, factor: 4, originalPositions: 512, ...betas } as const;

    const { cos, sin } = ropeTables(rope, dim, 3);

    assert.equal(cos.length, 3 * 32);
    assert.equal(cos[0], 2);
    assert.equal(sin[0], 0);
    assert.equal(cos[64], Math.fround(2 * Math.cos(2)));
    assert.equal(sin[64], Math.fround(2 * Math.sin(2)));
  });
});

describe('yarnAttentionFactor', () => {
  it('is one without scaling and grows with the logarithm of the factor', () => {
    assert.equal(yarnAttentionFactor(1), 1);
    assert.ok(Math.abs(yarnAttentionFactor(Math.E) - 1.1) < 1e-15);
    assert.ok(Math.abs(yarnAttentionFactor(Math.E, 2) - 1.2) < 1e-15);
  });
});
