import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Quantization } from '../../../../server/model/convert/plan.ts';
import { estimateBytes } from '../../../../server/model/estimate.ts';
import { targetFor } from '../../../../server/model/target.ts';
import { describeModel } from '../../../../server/onnx/arch/registry.ts';
import { tinyLlamaConfig } from '../../../support/llama-checkpoint.ts';

const onCPU = (quantization: Quantization) =>
  ({
    quantization,
    maxBatchTokens: 1024,
    maxSequenceTokens: 64,
    target: targetFor('CPU', { stored: 'float32' }),
  }) as const;
const unread = { sources: new Map<string, never>(), numberBytes: 4 };
const [hidden, intermediate, vocabulary] = [32, 48, 40];
const vectors = 5 * hidden;
const layers = 2 * (hidden * 2 * (hidden + hidden / 2) + 3 * hidden * intermediate);

describe('estimateBytes', () => {
  const cases = [
    { quantization: 'None', layer: 4, table: 8, what: 'an embedding in place and a copy of it' },
    { quantization: 'Int8', layer: 1.125, table: 1.125, what: '9 bits everywhere' },
    {
      quantization: 'Int4',
      layer: 0.625,
      table: 1.125,
      what: '5 bits, 9 for v projections and the vocabulary',
    },
    { quantization: 'NF4', layer: 0.5625, table: 4, what: '4.5 bits, the vocabulary as it is' },
  ] as const;
  for (const { quantization, layer, table, what } of cases) {
    it(`counts ${what} for ${quantization} of a tied model`, () => {
      const blueprint = describeModel({ ...tinyLlamaConfig, tie_word_embeddings: true });

      const { host } = estimateBytes(blueprint, unread, onCPU(quantization));

      const sharedV = quantization === 'Int4' ? 0.5 * 2 * (hidden / 2) * hidden : 0;
      assert.equal(host, 4 * vectors + layer * layers + table * vocabulary * hidden + sharedV);
    });
  }

  it('counts what stays as it is by the type of the checkpoint', () => {
    const blueprint = describeModel(tinyLlamaConfig);
    const half = { ...unread, numberBytes: 2 };

    const less =
      estimateBytes(blueprint, unread, onCPU('NF4')).host -
      estimateBytes(blueprint, half, onCPU('NF4')).host;

    assert.equal(less, 2 * (2 * vocabulary * hidden + vectors));
  });

  it('counts an untied output projection as well', () => {
    const tied = describeModel({ ...tinyLlamaConfig, tie_word_embeddings: true });
    const untied = describeModel(tinyLlamaConfig);

    const more =
      estimateBytes(untied, unread, onCPU('Int8')).host -
      estimateBytes(tied, unread, onCPU('Int8')).host;

    assert.equal(more, 1.125 * vocabulary * hidden);
  });

  it('shows what a 1 B model takes: 28 % of float32 in Int8, 18 % in Int4, on a CPU', () => {
    const blueprint = describeModel({
      ...tinyLlamaConfig,
      vocab_size: 128_256,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      tie_word_embeddings: true,
    });
    const share = (quantization: 'Int8' | 'Int4') =>
      estimateBytes(blueprint, unread, onCPU(quantization)).host / (4 * 1_235_814_400);

    assert.equal(share('Int8').toFixed(3), '0.281');
    assert.equal(share('Int4').toFixed(3), '0.185');
  });

  it('counts everything that a runner takes of a GPU, and little of the machine', () => {
    const blueprint = describeModel(tinyLlamaConfig);
    const target = targetFor('CUDA', { stored: 'float32' });

    const bytes = estimateBytes(blueprint, unread, { ...onCPU('None'), target });

    assert.ok(bytes.device > 600 * 2 ** 20, `${bytes.device} bytes of the GPU`);
    assert.ok(bytes.host <= 2 ** 30, `${bytes.host} bytes of the machine`);
  });
});
