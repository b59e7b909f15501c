import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { architectures, describeModel } from '../../../../../server/onnx/arch/registry.ts';
import { tinyConfig } from '../../../../support/decoders.ts';

const config = { ...tinyConfig, architectures: ['LlamaForCausalLM'] };

describe('describeModel', () => {
  it('finds the architecture by the name in config.json', () => {
    assert.equal(describeModel(config).architecture, 'LlamaForCausalLM');
    assert.equal(describeModel(config).task, 'LogProbs');
  });

  it('takes the first name that it knows', () => {
    const names = ['OurOwnLlama', 'LlamaForSequenceClassification', 'LlamaForCausalLM'];

    const { architecture, task } = describeModel({ ...config, architectures: names });

    assert.deepEqual([architecture, task], ['LlamaForSequenceClassification', 'Reward']);
  });

  for (const [name, [, task]] of Object.entries(architectures)) {
    it(`knows ${name} as a model of ${task}`, () => {
      const isClassifier = name.endsWith('ForSequenceClassification');
      assert.equal(task, isClassifier ? 'Reward' : 'LogProbs');
    });
  }

  const refused = ['BertForMaskedLM', 'LlamaForTokenClassification', 'constructor'];
  for (const name of refused) {
    it(`refuses ${name} and lists what it knows`, () => {
      assert.throws(() => describeModel({ ...config, architectures: [name] }), {
        code: 'UNSUPPORTED_ARCHITECTURE',
        message: /LlamaForCausalLM/,
      });
    });
  }

  it('refuses a config without architectures', () => {
    assert.throws(() => describeModel({}), { code: 'CONFIG_INVALID' });
    assert.throws(() => describeModel({ architectures: [] }), { code: 'CONFIG_INVALID' });
  });

  it('refuses a checkpoint that is quantized already', () => {
    const given = { ...config, quantization_config: { quant_method: 'gptq' } };

    assert.throws(() => describeModel(given), { code: 'UNSUPPORTED_QUANTIZATION' });
  });

  it('refuses attention to later tokens', () => {
    const given = { ...config, is_causal: false };

    assert.throws(() => describeModel(given), { code: 'UNSUPPORTED_ARCHITECTURE' });
  });
});
