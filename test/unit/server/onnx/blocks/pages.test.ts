import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type Attention,
  attention,
  type Rotation,
} from '../../../../../server/onnx/blocks/attention.ts';
import type { Norm } from '../../../../../server/onnx/blocks/norm.ts';
import {
  cacheSizes,
  canRotate,
  fitsPages,
  pagesLayout,
  pageTokensFor,
} from '../../../../../server/onnx/blocks/pages.ts';
import type { Tensor } from '../../../../../server/onnx/graph.ts';
import { Tape } from '../../../../../server/onnx/tape.ts';
import { scopeOf } from '../../../../support/run-graph.ts';

// The kernel is there on a GPU only: test/gpu compares what it computes. Here is what it is given.
const target = { provider: 'CUDA', type: 'bfloat16' } as const;

function layerOf(headDim: number, changes: Partial<Attention> = {}): Attention {
  const linear = (name: string, rows: number) => ({ name, rows, columns: 64 });
  return {
    heads: 4,
    kvHeads: 2,
    headDim,
    qkv: {
      kind: 'Separate',
      q: linear('q', 4 * headDim),
      k: linear('k', 2 * headDim),
      v: linear('v', 2 * headDim),
    },
    output: linear('o', 64),
    ...changes,
  };
}

/** The node of the kernel. */
function attended(layer: Attention, of?: 'Tokens' | 'Positions', dim = 16) {
  const tape = Tape.start('/m');
  const tensor = (shape: readonly number[]): Tensor => {
    return { type: 'bfloat16', shape, data: new Uint8Array() };
  };
  const weights = {
    matrix: () => ({ format: 'Float', tensor: tensor([1, 1]) }) as const,
    table: () => ({ format: 'Float', tensor: tensor([1, 1]) }) as const,
    vector: (_: string, length: number) => tensor([length]),
  };
  const port = (name: string) => tape.input({ name, type: 'bfloat16', shape: ['n', 'w'] });
  const angles = { cos: port('cos'), sin: port('sin'), dim };
  const positions = tape.input({ name: 'positions', type: 'int64', shape: [1, 'n'] });
  const rotation: Rotation | undefined =
    of === 'Positions' ? { of, ...angles, positions } : of && { of, ...angles };
  const layout = pagesLayout(tape, target, [layer]);
  attention(scopeOf(tape, weights, target), port('x'), layer, { layout, rotation });
  const { nodes } = tape.finish();
  const kernel = nodes.find(({ type }) => type === 'PagedAttention')!;
  return { kernel, types: nodes.map(({ type }) => type) };
}

describe('attendPages', () => {
  it('gives the kernel queries, keys and values side by side from one product, and its bounds', () => {
    const { kernel, types } = attended(layerOf(64), 'Positions');

    assert.deepEqual(kernel.inputs.slice(1, 3), ['', '']);
    assert.deepEqual(kernel.inputs.slice(8, 10), ['cos', 'sin']);
    assert.equal(kernel.inputs[16], 'length_bounds');
    assert.deepEqual(kernel.attributes['do_rotary'], { int: 1 });
    assert.equal(types.filter((type) => type === 'Gemm').length, 2);
  });

  it('rotates heads before the kernel where all of each is rotated', () => {
    const { kernel, types } = attended(layerOf(64), 'Positions', 64);

    assert.equal(types.filter((type) => type === 'RotaryEmbedding').length, 2);
    assert.deepEqual(kernel.attributes['do_rotary'], { int: 0 });
    assert.ok(
      kernel.inputs.slice(0, 3).every((name) => name !== ''),
      'something is missing',
    );
    assert.deepEqual(kernel.inputs.slice(8, 10), ['', '']);
  });

  it('makes keys and values of two different numbers, so that they stay two', () => {
    const { kernel } = attended(layerOf(64));

    assert.notEqual(kernel.inputs[3], kernel.inputs[4]);
  });

  it('rotates before the kernel where each token has its own angles', () => {
    const { kernel, types } = attended(layerOf(64), 'Tokens');

    assert.equal(types.filter((type) => type === 'RotaryEmbedding').length, 2);
    assert.deepEqual(kernel.attributes['do_rotary'], { int: 0 });
    assert.ok(
      kernel.inputs.slice(0, 3).every((name) => name !== ''),
      'something is missing',
    );
  });

  it('leaves norms over single heads to the kernel, and others not', () => {
    const norm = (name: string, length: number): Norm => {
      return { name, kind: 'RMS', length, epsilon: 1e-5 };
    };
    const perHead = { qNorm: norm('q_norm', 64), kNorm: norm('k_norm', 64) };
    const over = { qNorm: norm('q_norm', 256), kNorm: norm('k_norm', 128) };

    const inside = attended(layerOf(64, perHead)).kernel;
    const before = attended(layerOf(64, over));

    assert.deepEqual(inside.inputs.slice(12, 14), ['q_norm.weight', 'k_norm.weight']);
    assert.deepEqual(inside.attributes['qk_norm_epsilon'], { float: 1e-5 });
    assert.deepEqual(before.kernel.inputs.slice(12, 14), ['', '']);
    assert.ok(before.types.includes('SimplifiedLayerNormalization'), 'nothing is normalized');
  });

  it('widens heads that the kernel would not take', () => {
    const { types } = attended(layerOf(20));

    assert.equal(types.filter((type) => type === 'Pad').length, 3);
  });
});

describe('what the kernel takes', () => {
  it('is a head of 256 numbers at most', () => {
    assert.ok(fitsPages(layerOf(256)), '256 fits');
    assert.ok(!fitsPages(layerOf(264)), '264 does not');
  });

  it('is pages in which no tile crosses a border', () => {
    assert.equal(pageTokensFor([layerOf(64)]), 256);
    assert.equal(pageTokensFor([layerOf(128)]), 128);
    assert.equal(pageTokensFor([layerOf(256)]), 64);
    assert.equal(pageTokensFor([layerOf(256), layerOf(80)]), 128);
  });

  it('is a rotation of whole sixteens', () => {
    assert.ok(canRotate(layerOf(64), 32), '64 and 32');
    assert.ok(!canRotate(layerOf(64), 24), '64 and 24');
    assert.ok(!canRotate(layerOf(24), 16), '24 and 16');
  });

  it('is one pair of caches for layers of one shape', () => {
    const sizes = cacheSizes([layerOf(64), layerOf(64), layerOf(20), layerOf(24)]);

    assert.deepEqual(sizes, [
      [2, 64],
      [2, 24],
    ]);
  });
});
