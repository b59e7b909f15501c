import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FloatTensor } from '../../../../server/model/checkpoint/tensors.ts';
import type { Artifact } from '../../../../server/model/convert/artifact.ts';
import { targetFor } from '../../../../server/model/target.ts';
import {
  artifactBytes,
  artifactWeights,
  checkpointBytes,
  checkpointWeights,
  wholeBytes,
} from '../../../../server/model/weights.ts';
import type { TensorSpec } from '../../../../server/onnx/arch/inventory.ts';
import { describeModel } from '../../../../server/onnx/arch/registry.ts';
import type { Provider } from '../../../../server/onnx/target.ts';
import { tinyLlamaConfig } from '../../../support/llama-checkpoint.ts';

const data = (length: number) => ({ file: '/f', offset: 0, length });
const sources = new Map<string, FloatTensor>([
  ['w', { type: 'bfloat16', shape: [2, 40], data: data(160) }],
  ['n', { type: 'bfloat16', shape: [40], data: data(80) }],
]);
const shape = { rows: 2, columns: 40 };
const codes = { type: 'uint8', shape: [2, 2, 32], data: data(128) } as const;
const scales = { type: 'bfloat16', shape: [2, 2], data: data(8) } as const;
const artifact: Artifact = {
  tensors: new Map([
    ['int8', { format: 'Int8', ...shape, codes, scales } as const],
    ['int4', { format: 'Int4', ...shape, codes, scales } as const],
    ['nf4', { format: 'NF4', ...shape, codes, scales } as const],
    ['n', { format: 'AsIs', whole: { type: 'bfloat16', shape: [40], data: data(80) } } as const],
  ]),
  fidelity: data(32),
};

describe('checkpointWeights', () => {
  it('gives what the checkpoint has, and whether the graph must turn it', () => {
    const weights = checkpointWeights(sources);

    const matrix = weights.matrix('w', { ...shape, isTransposed: true });
    assert.deepEqual(matrix, { format: 'Float', tensor: sources.get('w'), isTransposed: true });
    assert.deepEqual(weights.table('w', shape), { format: 'Float', tensor: sources.get('w') });
    assert.equal(weights.vector('n', 40), sources.get('n'));
  });

  it('refuses a name that no spec has', () => {
    assert.throws(() => checkpointWeights(sources).vector('x', 1), { code: 'INTERNAL' });
  });
});

describe('artifactWeights', () => {
  const cases = [
    { name: 'int8', want: { format: 'Blocks', bits: 8, blockSize: 32 } },
    { name: 'int4', want: { format: 'Blocks', bits: 4, blockSize: 32 } },
    { name: 'nf4', want: { format: 'NormalFloat', blockSize: 64 } },
  ];
  for (const { name, want } of cases) {
    it(`gives a matrix in ${name} with its shape, codes and scales`, () => {
      const matrix = artifactWeights(artifact).matrix(name, shape);

      assert.deepEqual({ ...matrix, ...want, ...shape, codes, scales }, matrix);
    });
  }

  it('gives vectors as they are stored', () => {
    assert.deepEqual(artifactWeights(artifact).vector('n', 40).shape, [40]);
  });

  it('does not take one kind for another', () => {
    const weights = artifactWeights(artifact);

    assert.throws(() => weights.vector('int8', 40), { code: 'INTERNAL' });
    assert.throws(() => weights.table('nf4', shape), { code: 'INTERNAL' });
  });
});

describe('checkpointBytes', () => {
  const specs: TensorSpec[] = [
    { name: 'w', shape: [2, 40], role: 'Table' },
    { name: 'n', shape: [40], role: 'Vector' },
    { name: 'w', shape: [2, 40], role: 'Matrix' },
  ];

  it('counts tables as stored, matrices and vectors as float32', () => {
    assert.equal(checkpointBytes(specs, new Map([['w', 160]])), 160 + 160 + 320);
  });

  it('counts everything as float32 while the types are not known', () => {
    assert.equal(checkpointBytes(specs, new Map()), 320 + 160 + 320);
  });
});

describe('wholeBytes', () => {
  it('counts a shared tensor twice on a CPU, where it is cast, and once on a GPU', () => {
    const tensors: TensorSpec[] = [
      { name: 'w', shape: [2, 40], role: 'Table' },
      { name: 'w', shape: [2, 40], role: 'Matrix' },
    ];
    const blueprint = { ...describeModel(tinyLlamaConfig), tensors };

    const bytesOn = (provider: Provider) =>
      wholeBytes(blueprint, sources, targetFor(provider, { stored: 'bfloat16' }));

    assert.deepEqual([bytesOn('CPU'), bytesOn('CUDA')], [160 + 320, 160]);
  });
});

describe('artifactBytes', () => {
  it('believes the file rather than the plan', () => {
    const spec: TensorSpec = { name: 'int4', shape: [2, 40], role: 'Matrix' };
    const planned = new Map([[spec, 'Int8']] as const);

    const bytes = artifactBytes(artifact, planned, targetFor('CUDA', { stored: 'float32' }));

    assert.equal(bytes, 2 * 2 * (16 + 2));
  });
});
