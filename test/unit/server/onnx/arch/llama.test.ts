import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeLlama } from '../../../../../server/onnx/arch/llama.ts';
import { float32Tensor } from '../../../../../server/onnx/graph.ts';
import {
  referenceLogprobs,
  tinyLlama,
  tinyLlamaConfig,
} from '../../../../support/llama-checkpoint.ts';
import { integers, largestDifference, runGraph } from '../../../../support/run-graph.ts';

describe('describeLlama', () => {
  it('tells sizes and every tensor with its shape', () => {
    const { vocabularySize, contextTokens, tensors } = describeLlama(tinyLlamaConfig);

    assert.equal(vocabularySize, 40);
    assert.equal(contextTokens, 64);
    assert.equal(tensors.length, 3 + 2 * 9);
    const shapeOf = (name: string) => tensors.find((tensor) => tensor.name === name)?.shape;
    assert.deepEqual(shapeOf('model.layers.1.self_attn.k_proj.weight'), [16, 32]);
    assert.deepEqual(shapeOf('model.layers.1.mlp.down_proj.weight'), [32, 48]);
    assert.deepEqual(shapeOf('lm_head.weight'), [40, 32]);
  });

  it('names the embedding twice when the head is tied to it', () => {
    const { tensors } = describeLlama({ ...tinyLlamaConfig, tie_word_embeddings: true });

    const roles = tensors.filter(({ name }) => name === 'model.embed_tokens.weight');
    assert.deepEqual(
      roles.map(({ role }) => role),
      ['Table', 'Matrix'],
    );
    assert.ok(!tensors.some(({ name }) => name === 'lm_head.weight'));
  });

  it('asks for biases where the config has them', () => {
    const count = (changes: object) =>
      describeLlama({ ...tinyLlamaConfig, ...changes }).tensors.filter(({ name }) =>
        name.endsWith('.bias'),
      ).length;

    assert.equal(count({}), 0);
    assert.equal(count({ attention_bias: true }), 8);
    assert.equal(count({ mlp_bias: true }), 6);
  });

  const refused = [
    { given: { hidden_act: 'gelu' }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { given: { head_dim: 12 }, code: 'UNSUPPORTED_ARCHITECTURE' },
    { given: { num_key_value_heads: 3 }, code: 'CONFIG_INVALID' },
    { given: { num_attention_heads: 5, num_key_value_heads: 5 }, code: 'CONFIG_INVALID' },
    { given: { vocab_size: 0 }, code: 'CONFIG_INVALID' },
    { given: { hidden_size: 'big' }, code: 'CONFIG_INVALID' },
  ];
  for (const { given, code } of refused) {
    it(`refuses ${JSON.stringify(given)} with ${code}`, () => {
      assert.throws(() => describeLlama({ ...tinyLlamaConfig, ...given }), { code });
    });
  }

  it('gives a graph that computes what the model computes, also where heads are rotated apart', async () => {
    const checkpoint = tinyLlama(); // heads of 8
    const tensor = (name: string) => {
      const { shape, values } = checkpoint.weights.get(name)!;
      return float32Tensor(values, shape);
    };
    const weights = {
      matrix: (name: string) => ({ format: 'Float', tensor: tensor(name) }) as const,
      table: tensor,
      vector: tensor,
    };
    const tokens = [5, 39, 0, 17, 17, 2];
    const [last] = referenceLogprobs(checkpoint, tokens).slice(-1);

    const outputs = await runGraph(describeLlama(checkpoint.config).graph(weights, 16), {
      tokens: integers([1, tokens.length], tokens),
      positions: integers([1, 40], new Int32Array(40).fill(tokens.length - 1)),
      targets: integers(
        [1, 40],
        Int32Array.from({ length: 40 }, (_, v) => v),
      ),
      top_k: { shape: [1], data: BigInt64Array.of(0n) },
    });

    assert.ok(largestDifference(outputs['logprobs']!.data, last!) < 1e-5);
  });
});
