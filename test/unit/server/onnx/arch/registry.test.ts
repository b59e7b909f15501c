import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { describeModel } from '../../../../../server/onnx/arch/registry.ts';
import { goldenRoot } from '../../../../support/engine-kit.ts';
import { tinyLlamaConfig } from '../../../../support/llama-checkpoint.ts';

describe('describeModel', () => {
  it('finds the architecture by the name in config.json', () => {
    assert.equal(describeModel(tinyLlamaConfig).architecture, 'LlamaForCausalLM');
  });

  it('refuses another architecture and lists those there are', () => {
    const config: unknown = JSON.parse(
      readFileSync(path.join(goldenRoot, 'gpt2/config.json'), 'utf8'),
    );

    assert.throws(() => describeModel(config), {
      code: 'UNSUPPORTED_ARCHITECTURE',
      message: /LlamaForCausalLM/,
    });
  });

  const refused = [
    { name: 'a classifier', given: ['LlamaForSequenceClassification'] },
    { name: 'a name that objects have by nature', given: ['constructor'] },
  ];
  for (const { name, given } of refused) {
    it(`refuses ${name}`, () => {
      const config = { ...tinyLlamaConfig, architectures: given };

      assert.throws(() => describeModel(config), { code: 'UNSUPPORTED_ARCHITECTURE' });
    });
  }

  it('refuses a config without architectures', () => {
    assert.throws(() => describeModel({}), { code: 'CONFIG_INVALID' });
  });

  it('refuses a checkpoint that is quantized already', () => {
    const config = { ...tinyLlamaConfig, quantization_config: { quant_method: 'gptq' } };

    assert.throws(() => describeModel(config), { code: 'UNSUPPORTED_QUANTIZATION' });
  });
});
