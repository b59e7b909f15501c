import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatsOf, type Quantization } from '../../../../../server/model/convert/plan.ts';
import {
  footprint,
  weightBytes,
  workingBytes,
} from '../../../../../server/model/cuda/footprint.ts';
import { describeModel } from '../../../../../server/onnx/arch/registry.ts';
import type { Target } from '../../../../../server/onnx/target.ts';
import type { FloatType } from '../../../../../server/quant/decode.ts';
import { tinyLlamaConfig } from '../../../../support/llama-checkpoint.ts';

const llama8B = {
  ...tinyLlamaConfig,
  vocab_size: 128_256,
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
};
const parameters = 8_030_261_248;

function work(config: object, quantization: Quantization = 'None', type: FloatType = 'bfloat16') {
  const blueprint = describeModel(config);
  const formats = formatsOf(blueprint, quantization);
  const target: Target = { provider: 'CUDA', type };
  const limits = { maxBatchTokens: 16_384, maxSequenceTokens: 8192 };
  return { decoder: blueprint.decoder, target, formats, ...limits };
}

const weightsOf = ({ formats, target }: ReturnType<typeof work>) =>
  weightBytes(formats, target.type);

describe('weightBytes', () => {
  const tied = { ...tinyLlamaConfig, tie_word_embeddings: true };
  const [hidden, intermediate, vocabulary] = [32, 48, 40];
  const vectors = 5 * hidden;
  const values = 2 * hidden * (hidden / 2);
  const layers = 2 * (hidden * 2 * (hidden + hidden / 2) + 3 * hidden * intermediate);
  const table = vocabulary * hidden;
  /** Rows of the down projection end in the middle of a block. */
  const padded = 2 * hidden * (64 - intermediate);

  it('counts each tensor once in the numbers of the graph', () => {
    assert.equal(weightsOf(work(tied)), 2 * (vectors + layers + table));
    assert.equal(weightsOf(work(tied, 'None', 'float32')), 4 * (vectors + layers + table));
  });

  it('counts codes, and a scale of each block in the numbers of the graph', () => {
    const int8 = weightsOf(work(tied, 'Int8'));
    const int4 = weightsOf(work(tied, 'Int4'));

    assert.equal(int8, 2 * vectors + (34 / 32) * (layers + padded + table));
    const shared = (16 / 32) * values; // v projections keep 8 bits
    assert.equal(int4, 2 * vectors + (18 / 32) * (layers + padded) + shared + (34 / 32) * table);
  });

  it('counts flat blocks with a scale in float32, and the vocabulary as it is, for NF4', () => {
    const bytes = weightsOf(work(tied, 'NF4'));

    assert.equal(bytes, 2 * (vectors + table) + (36 / 64) * layers);
  });

  it('shows what 8 B parameters take: all of 16 bits, 27 % of float32 in Int8', () => {
    assert.ok(Math.abs(weightsOf(work(llama8B)) / (2 * parameters) - 1) < 1e-6, 'not 16 bits');
    assert.equal((weightsOf(work(llama8B, 'Int8')) / (4 * parameters)).toFixed(3), '0.266');
  });
});

describe('workingBytes', () => {
  it('is near what was measured of 8 B parameters at 16,384 tokens: 4.6 GB', () => {
    const { decoder, ...rest } = work(llama8B);

    const bytes = workingBytes(decoder, rest);

    assert.ok(bytes > 4.5e9 && bytes < 5.0e9, `${bytes} bytes`);
  });

  it('grows with the tokens of a pass, and not with the layers', () => {
    const bytes = (maxBatchTokens: number, layers = 2) => {
      const { decoder, ...rest } = work({ ...llama8B, num_hidden_layers: layers });
      return workingBytes(decoder, { ...rest, maxBatchTokens });
    };

    const perToken = (bytes(32_768) - bytes(16_384)) / 16_384;
    assert.ok(perToken > 100e3 && perToken < 500e3, `${perToken} bytes a token`);
    assert.equal(bytes(16_384), bytes(16_384, 5));
  });

  it('counts a row that is longer than a batch', () => {
    const { decoder, ...rest } = work({ ...llama8B, vocab_size: 1000 });
    const bytes = (limits: object) => workingBytes(decoder, { ...rest, ...limits });

    assert.equal(bytes({ maxBatchTokens: 1000 }), bytes({ maxBatchTokens: 8192 }));
  });

  it('counts the scores of attention where no kernel computes them', () => {
    const { decoder, ...whole } = work(tinyLlamaConfig, 'None', 'float32');
    const short = workingBytes(decoder, { ...whole, maxSequenceTokens: 1024 });

    const more = workingBytes(decoder, whole) - short;

    const heads = tinyLlamaConfig.num_attention_heads;
    assert.equal(more, 1.75 * 12 * heads * 16_384 * (8192 - 1024));
  });

  it('has room for the numbers of a head in 8 bits', () => {
    const { decoder, ...rest } = work(llama8B, 'Int8');
    const few = { ...rest, maxBatchTokens: 1, maxSequenceTokens: 1 };

    assert.ok(workingBytes(decoder, few) > 128_256 * 4096 * 2, 'the head has no room');
  });

  it('has room for the numbers of one matrix in blocks', () => {
    const { decoder, ...whole } = work(llama8B);
    const { formats } = work(llama8B, 'Int8');

    const more = workingBytes(decoder, { ...whole, formats }) - workingBytes(decoder, whole);

    assert.ok(more >= 4096 * 14_336 * 2, `${more} bytes more`);
  });

  it('has no logits for a reward model', () => {
    const { decoder, ...rest } = work(llama8B);
    const score = { name: 'score', rows: 1, columns: 4096 };
    const small = { ...rest, maxBatchTokens: 512, maxSequenceTokens: 512 };

    const reward = workingBytes({ ...decoder, head: { task: 'Reward', score } }, small);

    assert.ok(workingBytes(decoder, small) - reward > 512 * 128_256 * 10, 'it has logits');
  });

  it('has room for the layers or for the head, which are not computed at once', () => {
    const bytes = (vocabulary: number) => {
      const { decoder, ...rest } = work({ ...llama8B, vocab_size: vocabulary });
      return workingBytes(decoder, rest);
    };

    assert.equal(bytes(1000), bytes(2000));
    assert.ok(bytes(128_256) > bytes(2000), 'the logits have no room');
  });

  it('lets every token choose the same expert', () => {
    const [layer] = work(tinyLlamaConfig).decoder.layers;
    assert.ok(layer && layer.mlp.kind !== 'Experts');
    const router = { name: 'router', rows: 4, columns: 32 };
    const mlp = {
      kind: 'Experts' as const,
      router,
      experts: [layer.mlp, layer.mlp, layer.mlp, layer.mlp],
      perToken: 2,
      isNormalized: true,
    };
    const { decoder, ...rest } = work(tinyLlamaConfig);

    const more =
      workingBytes({ ...decoder, layers: [{ ...layer, mlp }] }, rest) - workingBytes(decoder, rest);

    assert.equal(more, 1.75 * 16_384 * 2 * 2 * 2 * 32);
  });
});

describe('footprint', () => {
  it('is weights, working memory and the process itself', () => {
    const { decoder, ...rest } = work(llama8B);

    const { device, host } = footprint(decoder, rest);

    const own = device - weightBytes(rest.formats, 'bfloat16') - workingBytes(decoder, rest);
    assert.ok(own > 500e6 && own < 700e6, `${own} bytes`);
    assert.ok(host < 1e9, `${host} bytes of the machine`);
  });
});
