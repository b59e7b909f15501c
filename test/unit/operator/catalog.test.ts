import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildCatalog, catalogModel, podVolumeRoot } from '../../../operator/catalog.ts';
import { catalog } from '../../../server/contract.ts';
import { referenceModel } from '../../support/builders.ts';

describe('catalog', () => {
  it('is what the server reads', () => {
    const model = referenceModel({
      spec: {
        task: 'LogProbs',
        quantization: 'None',
        preload: true,
        limits: { maxSequenceTokens: 5 },
      },
    });

    const built = buildCatalog([model], podVolumeRoot);

    assert.deepEqual(catalog.parse(built), built);
    assert.deepEqual(built.models, [
      {
        name: 'rl/tiny',
        source: { volume: { root: '/volumes/models', path: 'tiny' } },
        task: 'LogProbs',
        quantization: 'None',
        preload: true,
        maxSequenceTokens: 5,
        maxBatchTokens: 16384,
      },
    ]);
  });

  it('carries a source on the hub as it is, without its secret', () => {
    const huggingFace = { repo: 'a/b', revision: 'v1', tokenSecretRef: { name: 'hf' } };
    const model = referenceModel({ spec: { model: { huggingFace } } });

    assert.deepEqual(catalogModel(model, podVolumeRoot).source, {
      huggingFace: { repo: 'a/b', revision: 'v1' },
    });
  });

  it('gives the same bytes for the same models in any order', () => {
    const models = ['c', 'a', 'b'].map((name) => referenceModel({ metadata: { name } }));
    const text = (list: typeof models) => JSON.stringify(buildCatalog(list, podVolumeRoot));

    assert.equal(text(models), text(models.toReversed()));
    assert.deepEqual(
      buildCatalog(models, podVolumeRoot).models.map(({ name }) => name),
      ['rl/a', 'rl/b', 'rl/c'],
    );
  });
});
