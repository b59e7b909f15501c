import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blueprintOf } from '../../../../../server/onnx/arch/blueprint.ts';
import { describeLlama } from '../../../../../server/onnx/arch/llama.ts';
import { tinyConfig } from '../../../../support/decoders.ts';
import { array, weightsOf } from '../../../../support/run-graph.ts';

describe('blueprintOf', () => {
  it('tells what is known of a model that gives log-probabilities', () => {
    const decoder = describeLlama(tinyConfig, 'LogProbs');

    const { task, labels, vocabularySize, contextTokens, ropes } = blueprintOf(decoder);

    assert.deepEqual([task, labels], ['LogProbs', undefined]);
    assert.deepEqual([vocabularySize, contextTokens], [40, 64]);
    assert.equal(ropes, decoder.ropes);
  });

  it('tells how many scores a row of a reward model gets', () => {
    const { task, labels } = blueprintOf(describeLlama({ ...tinyConfig, num_labels: 3 }, 'Reward'));

    assert.deepEqual([task, labels], ['Reward', 3]);
  });

  it('lists just the tensors that its graph takes', () => {
    const blueprint = blueprintOf(
      describeLlama({ ...tinyConfig, tie_word_embeddings: true }, 'LogProbs'),
    );
    const arrays = blueprint.tensors.map(({ name, shape }) => {
      const count = shape.reduce((product, dim) => product * dim, 1);
      return [name, array(shape, new Float32Array(count))] as const;
    });

    const { constants } = blueprint.graph(weightsOf(Object.fromEntries(arrays)));

    const found = [...constants.keys()].filter((name) => name.startsWith('model.'));
    assert.deepEqual(found.sort(), [...new Set(blueprint.tensors.map(({ name }) => name))].sort());
  });
});
