import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readSafetensors } from '../../../../../server/model/checkpoint/safetensors.ts';
import { requireTensors } from '../../../../../server/model/checkpoint/tensors.ts';
import { checkpointWeights } from '../../../../../server/model/weights.ts';
import { blueprintOf } from '../../../../../server/onnx/arch/blueprint.ts';
import { describeGemma2 } from '../../../../../server/onnx/arch/gemma2.ts';
import { describeLlama } from '../../../../../server/onnx/arch/llama.ts';
import {
  comparison,
  comparisonGraph,
  embeddingGraph,
  hiddenPort,
  layerGraph,
  nextPort,
  observationGraph,
  otherPort,
  productGraph,
  rewardGraph,
  segmentNames,
} from '../../../../../server/onnx/arch/segments.ts';
import { shapesOf, tinyConfig } from '../../../../support/decoders.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { tinyLlama, writeCheckpoint } from '../../../../support/llama-checkpoint.ts';
import { feedsOf, rewardsOf } from '../../../../support/run-decoder.ts';
import {
  type Array2,
  array,
  floats,
  largestDifference,
  longs,
  multiply,
  noise,
  runGraph,
  weightsOf,
} from '../../../../support/run-graph.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const rows = [
  [5, 39, 0, 17],
  [1, 2, 3],
];
const config = { ...tinyConfig, num_hidden_layers: 2, num_labels: 3 };
const decoder = describeLlama(config, 'Reward');
const weights = weightsOf(
  Object.fromEntries(
    Object.entries(shapesOf(decoder)).map(([name, shape], i) => {
      const values = noise(
        shape.reduce((product, dim) => product * dim, 1),
        i + 1,
      );
      return [name, array(shape, values)];
    }),
  ),
);
const { tokens, ...feeds } = feedsOf(decoder, rows);
const hiddenOf = (data: number[]): Array2 => floats([7, 32], data);

async function embedded(): Promise<number[]> {
  const outputs = await runGraph(embeddingGraph(decoder, weights), { tokens: tokens! });
  return outputs[nextPort.name]!.data;
}

describe('the pieces of a decoder', () => {
  it('give together what the whole gives', async () => {
    let hidden = await embedded();
    for (const index of decoder.layers.keys()) {
      const graph = layerGraph(decoder, index, weights);
      const outputs = await runGraph(graph, { ...feeds, [hiddenPort.name]: hiddenOf(hidden) });
      hidden = outputs[nextPort.name]!.data;
    }
    const last = { shape: [2], data: Int32Array.of(3, 6) };
    const { rewards } = await runGraph(rewardGraph(decoder, weights), {
      [hiddenPort.name]: hiddenOf(hidden),
      last,
    });

    const whole = await rewardsOf(decoder, weights, rows);
    assert.ok(largestDifference(whole, rewards!.data) < 1e-5, 'differs');
  });

  it('tell which tensors each layer asks for', () => {
    const { layers, rest } = segmentNames(decoder);

    assert.equal(layers.length, 2);
    const inOrder = Object.keys(shapesOf(decoder));
    assert.deepEqual([...layers.flat(), ...rest].sort(), inOrder.sort());
    assert.ok(
      layers[1]!.every((name) => name.startsWith('model.layers.1.')),
      layers[1]!.join(),
    );
    assert.deepEqual(rest.sort(), [
      'model.embed_tokens.weight',
      'model.norm.weight',
      'score.weight',
    ]);
  });

  it('know no layer beyond the last', () => {
    assert.throws(() => layerGraph(decoder, 2, weights), RangeError);
  });
});

describe('an observed layer', () => {
  it('gives what its matrices see of both models, once for those that see the same', async () => {
    const hidden = await embedded();
    const otherHidden = hidden.map((value, at) => value + Math.sin(at));
    const { graph, observations } = observationGraph(decoder, 0, weights);

    const outputs = await runGraph(graph, {
      ...feeds,
      [hiddenPort.name]: hiddenOf(hidden),
      [otherPort.name]: hiddenOf(otherHidden),
    });

    const multipliers = observations.map(({ layers }) => layers.map(({ name }) => name.slice(15)));
    assert.deepEqual(multipliers, [
      ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      ['self_attn.o_proj'],
      ['mlp.gate_proj', 'mlp.up_proj'],
      ['mlp.down_proj'],
    ]);
    const [{ own, others }] = observations as [(typeof observations)[0]];
    assert.ok(largestDifference(normalized(hidden), outputs[own.name]!.data) < 1e-5, 'own');
    const seen = normalized(otherHidden);
    assert.ok(largestDifference(seen, outputs[others.name]!.data) < 1e-5, 'others');
  });
});

describe('a product', () => {
  const [a, b] = [noise(6, 1), noise(12, 2)]; // [2, 3] and [3, 4]
  const [aTurned, bTurned] = [columnsOf(Array.from(a), 3), columnsOf(Array.from(b), 4)];
  const cases = [
    { name: 'a·b', transposed: {}, feeds: { a: floats([2, 3], a), b: floats([3, 4], b) } },
    {
      name: 'a·bᵀ',
      transposed: { b: true },
      feeds: { a: floats([2, 3], a), b: floats([4, 3], bTurned) },
    },
    {
      name: 'aᵀ·b',
      transposed: { a: true },
      feeds: { a: floats([3, 2], aTurned), b: floats([3, 4], b) },
    },
  ];
  for (const { name, transposed, feeds } of cases) {
    it(`is ${name}`, async () => {
      const outputs = await runGraph(productGraph(transposed), feeds);

      assert.ok(largestDifference(multiply(a, bTurned, 3), outputs['c']!.data) < 1e-6, 'differs');
    });
  }
});

/** Column after column. */
function columnsOf(values: number[], width: number): number[] {
  return Array.from({ length: width }, (_, i) => values.filter((_, at) => at % width === i)).flat();
}

/** What the first layer's attention reads. */
function normalized(hidden: number[]): number[] {
  const norm = weights.vector('model.layers.0.input_layernorm.weight', 32).data;
  assert.ok(norm instanceof Uint8Array, 'the norm is in a file');
  const weight = new Float32Array(norm.buffer, norm.byteOffset, 32);
  return hidden.map((value, at) => {
    const row = hidden.slice(at - (at % 32), at - (at % 32) + 32);
    const mean = row.reduce((sum, v) => sum + v * v, 0) / 32;
    return (value / Math.sqrt(mean + 1e-6)) * weight[at % 32]!;
  });
}

describe('a comparison', () => {
  it('adds up, slice by slice, to the divergence of two models', async () => {
    using folder = temporaryFolder();
    const checkpoint = tinyLlama();
    writeCheckpoint(folder.path, checkpoint);
    const stored = await readSafetensors(path.join(folder.path, 'model.safetensors'), neverAborted);
    const llama = describeLlama(checkpoint.config, 'LogProbs');
    const found = requireTensors(blueprintOf(llama).tensors, stored);
    const same = checkpointWeights(found);
    const [plain, other] = [noise(3 * 32, 1), noise(3 * 32, 2)];
    const targets = [3, 39, 20];

    const parts = [];
    for (const slice of [
      { from: 0, to: 25 },
      { from: 25, to: 40 },
    ]) {
      const graph = comparisonGraph(llama, { plain: same, other: same }, slice);
      const within = targets.map((id) =>
        Math.min(Math.max(id - slice.from, 0), slice.to - slice.from - 1),
      );
      const outputs = await runGraph(graph, {
        [comparison.plain.name]: floats([3, 32], plain),
        [comparison.other.name]: floats([3, 32], other),
        [comparison.targets.name]: longs([3, 1], within),
      });
      parts.push({
        slice,
        of: (name: keyof typeof comparison) => outputs[comparison[name].name]!.data,
      });
    }

    const head = checkpoint.weights.get('lm_head.weight')!.values;
    const gamma = checkpoint.weights.get('model.norm.weight')!.values;
    const logits = (x: Float32Array) => {
      const normed = Array.from(x, (value, at) => {
        const row = x.subarray(at - (at % 32), at - (at % 32) + 32);
        const mean = row.reduce((sum, v) => sum + v * v, 0) / 32;
        return (value / Math.sqrt(mean + checkpoint.config.rms_norm_eps)) * gamma[at % 32]!;
      });
      return multiply(normed, head, 32);
    };
    const [a, b] = [logits(plain), logits(other)];
    for (const { slice, of } of parts) {
      for (let row = 0; row < 3; row++) {
        const ofA = a.slice(row * 40 + slice.from, row * 40 + slice.to);
        const ofB = b.slice(row * 40 + slice.from, row * 40 + slice.to);
        const max = Math.max(...ofA);
        const exps = ofA.map((logit) => Math.exp(logit - max));
        const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
        const expected = [
          max,
          sum(exps),
          Math.max(...ofB),
          sum(ofB.map((logit) => Math.exp(logit - Math.max(...ofB)))),
          sum(exps.map((value, i) => value * (ofA[i]! - ofB[i]!))),
        ];
        const names = ['plainMax', 'plainSum', 'otherMax', 'otherSum', 'excess'] as const;
        assert.ok(
          largestDifference(
            expected,
            names.map((name) => of(name)[row]!),
          ) < 1e-4,
          'differs',
        );
        const target = targets[row]!;
        if (target < slice.from || target >= slice.to) continue;
        const picked = [of('plainTarget')[row]!, of('otherTarget')[row]!];
        assert.ok(
          largestDifference([a[row * 40 + target]!, b[row * 40 + target]!], picked) < 1e-4,
          'differs',
        );
      }
    }
  });

  it('is of models with a vocabulary', () => {
    const both = { plain: weights, other: weights };

    assert.throws(() => comparisonGraph(decoder, both, { from: 0, to: 1 }), RangeError);
  });
});

it('a layer of any family is a piece', () => {
  const gemma = describeGemma2({ ...tinyConfig, head_dim: 8, sliding_window: 3 }, 'LogProbs');

  assert.equal(segmentNames(gemma).layers.length, 1);
});
