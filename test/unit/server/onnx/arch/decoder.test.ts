import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blueprintOf } from '../../../../../server/onnx/arch/blueprint.ts';
import {
  type Decoder,
  decoderGraph,
  type Layer,
  ropeInputs,
  tokenInputs,
} from '../../../../../server/onnx/arch/decoder.ts';
import { describeGpt2 } from '../../../../../server/onnx/arch/gpt2.ts';
import { describeLlama } from '../../../../../server/onnx/arch/llama.ts';
import type { Weights } from '../../../../../server/onnx/blocks/weights.ts';
import type { Tensor } from '../../../../../server/onnx/graph.ts';
import { shapesOf, tinyConfig } from '../../../../support/decoders.ts';
import { referenceLogprobs, tinyLlama } from '../../../../support/llama-checkpoint.ts';
import { logprobsOf, rewardsOf } from '../../../../support/run-decoder.ts';
import { array, largestDifference, noise, weightsOf } from '../../../../support/run-graph.ts';

const rows = [
  [5, 39, 0, 17, 17, 2],
  [1, 2],
  [8, 9, 10],
];

const tensorsOf = ({ weights }: ReturnType<typeof tinyLlama>): Record<string, Tensor> =>
  Object.fromEntries([...weights].map(([name, { shape, values }]) => [name, array(shape, values)]));

const llama = describeLlama({ ...tinyConfig, num_hidden_layers: 2 }, 'LogProbs');

/** Random tensors for all that `decoder` asks for, those that `change` names multiplied. */
function randomWeights(decoder: Decoder, change: (name: string) => number = () => 1): Weights {
  const arrays = Object.entries(shapesOf(decoder)).map(([name, shape], i) => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    const values = noise(count, i + 1).map(
      (x) => change(name) * (shape.length === 1 ? 1 + x / 4 : x / 2),
    );
    return [name, array(shape, values)] as const;
  });
  return weightsOf(Object.fromEntries(arrays));
}

const withLayers = (decoder: Decoder, change: (layer: Layer) => Layer): Decoder => ({
  ...decoder,
  layers: decoder.layers.map(change),
});

async function assertSame(
  [a, ofA]: [Decoder, Weights],
  [b, ofB]: [Decoder, Weights],
): Promise<void> {
  const found = await logprobsOf(a, ofA, rows);
  assert.ok(found.length > 0, 'nothing is scored');
  assert.ok(largestDifference(found, await logprobsOf(b, ofB, rows)) < 1e-5, 'differs');
}

describe('decoderGraph', () => {
  it('computes what the model computes, each row as if it were alone', async () => {
    const checkpoint = tinyLlama();
    const decoder = describeLlama(checkpoint.config, 'LogProbs');
    const truth = rows.flatMap((row) => {
      const all = referenceLogprobs(checkpoint, row);
      return row.slice(1).map((token, i) => all[i]![token]!);
    });

    const found = await logprobsOf(decoder, weightsOf(tensorsOf(checkpoint)), rows);

    assert.equal(found.length, truth.length);
    assert.ok(largestDifference(truth, found) < 1e-5, 'differs');
  });

  it('gives the same scores for a row alone and among others', async () => {
    const decoder = describeLlama({ ...tinyConfig, num_labels: 3 }, 'Reward');
    const weights = randomWeights(decoder);

    const together = await rewardsOf(decoder, weights, rows);

    const alone = [];
    for (const row of rows) alone.push(...(await rewardsOf(decoder, weights, [row])));
    assert.equal(together.length, 9);
    assert.ok(largestDifference(alone, together) < 1e-5, 'differs');
  });

  it('multiplies the embedding', async () => {
    const scaled = { ...llama, embedding: { ...llama.embedding, scale: 3 } };
    const times = (name: string) => (name === 'model.embed_tokens.weight' ? 3 : 1);

    await assertSame([scaled, randomWeights(llama)], [llama, randomWeights(llama, times)]);
  });

  it('multiplies what attention and mlp give', async () => {
    const scaled = withLayers(llama, (layer) => ({ ...layer, residualScale: 0.5 }));
    const times = (name: string) => (/(o|down)_proj/.test(name) ? 0.5 : 1);

    await assertSame([scaled, randomWeights(llama)], [llama, randomWeights(llama, times)]);
  });

  it('normalizes what attention and mlp give where the family says so', async () => {
    const norm = { name: 'after', kind: 'RMS', length: 32, epsilon: 1e-6 } as const;
    const outer = withLayers(llama, (layer) => ({
      ...layer,
      afterAttention: norm,
      afterMlp: norm,
    }));
    // what is normalized does not feel a factor
    const times = (name: string) => (/(o|down)_proj/.test(name) ? 7 : 1);

    await assertSame([outer, randomWeights(outer)], [outer, randomWeights(outer, times)]);
  });

  it('reads the same rows for mlp as for attention when they are parallel', async () => {
    const parallel = withLayers(llama, (layer) => ({ ...layer, isParallel: true }));
    const one = { ...llama, layers: parallel.layers.slice(0, 1) };
    const shared = withLayers(one, (layer) => ({ ...layer, beforeMlp: undefined }));
    const sameNorm = withLayers(one, (layer) => ({ ...layer, beforeMlp: layer.beforeAttention }));

    await assertSame([sameNorm, randomWeights(shared)], [shared, randomWeights(shared)]);
    const sequential = { ...one, layers: llama.layers.slice(0, 1) };
    const weights = randomWeights(one);
    const [a, b] = [
      await logprobsOf(one, weights, rows),
      await logprobsOf(sequential, weights, rows),
    ];
    assert.ok(largestDifference(a, b) > 1e-3, 'parallel and sequential layers are the same');
  });

  it('leaves out rotation in layers without a rope', async () => {
    const nope = withLayers(llama, (layer) => ({ ...layer, rope: undefined }));
    const weights = randomWeights(llama);

    const [a, b] = [await logprobsOf(llama, weights, rows), await logprobsOf(nope, weights, rows)];

    assert.ok(largestDifference(a, b) > 1e-3, 'positions make no difference');
  });

  it('takes positions only where they are learned', () => {
    const config = { vocab_size: 40, n_embd: 32, n_layer: 1, n_head: 4, n_positions: 8 };
    const inputsOf = (decoder: Decoder) =>
      decoderGraph(decoder, randomWeights(decoder)).inputs.map(({ name }) => name);

    const learned = inputsOf(describeGpt2(config, 'LogProbs'));
    const rotated = inputsOf(llama);

    assert.ok(learned.includes(tokenInputs.positions.name), 'no positions');
    assert.ok(!rotated.includes(tokenInputs.positions.name), 'positions');
    const { cos, sin } = ropeInputs(0, 8);
    assert.ok(
      [cos, sin].every(({ name }) => rotated.includes(name)),
      'no angles',
    );
    assert.ok(![cos, sin].some(({ name }) => learned.includes(name)), 'angles');
  });

  it('names its nodes by their place', () => {
    const { nodes } = decoderGraph(llama, randomWeights(llama));

    assert.ok(
      nodes.some(({ name }) => name === '/model/layers.1/attn/q/Gemm'),
      nodes.map(({ name }) => name).join('\n'),
    );
  });

  it('is what the blueprint makes', () => {
    const weights = randomWeights(llama);

    assert.deepEqual(blueprintOf(llama).graph(weights), decoderGraph(llama, weights));
  });
});
