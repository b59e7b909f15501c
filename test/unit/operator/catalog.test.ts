import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildCatalog, catalogModel, podPlaces, withPreloads } from '../../../operator/catalog.ts';
import { catalog } from '../../../server/contract.ts';
import { referenceModel } from '../../support/builders.ts';

describe('catalog', () => {
  it('is what the server reads', () => {
    const model = referenceModel({
      spec: {
        task: 'LogProbs',
        quantization: 'None',
        dtype: 'Float32',
        preload: true,
        limits: { maxSequenceTokens: 5 },
      },
    });

    const built = buildCatalog([model], podPlaces);

    assert.deepEqual(catalog.parse(built), built);
    assert.deepEqual(built.models, [
      {
        name: 'rl/tiny',
        source: { volume: { root: '/volumes/models', path: 'tiny' } },
        task: 'LogProbs',
        quantization: 'None',
        dtype: 'Float32',
        preload: true,
        maxSequenceTokens: 5,
        maxBatchTokens: 16384,
      },
    ]);
  });

  it('says how far a converted model may be from its checkpoint', () => {
    const maxKLOf = (maxKL: string) => {
      const built = buildCatalog([referenceModel({ spec: { fidelity: { maxKL } } })], podPlaces);
      const [read] = catalog.parse(JSON.parse(JSON.stringify(built))).models;
      return read?.maxKL;
    };

    for (const [text, want] of [
      ['0.02', 0.02],
      ['5e-3', 0.005],
      ['0', 0],
      ['1e999', Number.MAX_VALUE],
    ] as const) {
      assert.equal(maxKLOf(text), want);
    }
  });

  const huggingFace = { repo: 'a/b', revision: 'v1' };
  const onHub = (spec: object = {}, status: object = {}) =>
    catalogModel(
      referenceModel({ spec: { model: { huggingFace: { ...huggingFace, ...spec } } }, status }),
      podPlaces,
    ).source;

  it('says of a source on the hub where its token is mounted, not what it is', () => {
    assert.deepEqual(onHub({ tokenSecretRef: { name: 'hf' } }), {
      huggingFace: { ...huggingFace, tokenFile: '/secrets/hf/token' },
    });
  });

  it('leaves the token to the process where nothing is mounted', () => {
    const ref = { tokenSecretRef: { name: 'hf', key: 'x' } };
    const model = referenceModel({ spec: { model: { huggingFace: { ...huggingFace, ...ref } } } });
    const places = { claim: () => '', secret: () => undefined };

    assert.deepEqual(catalogModel(model, places).source, { huggingFace });
  });

  it('hands out the commit that the revision was found to be', () => {
    const model = { revision: 'c0ffee', resolvedFrom: 'a/b@v1' };

    assert.deepEqual(onHub({}, { model }), { huggingFace: { ...huggingFace, commit: 'c0ffee' } });
  });

  it('does not hand out the commit of another revision or repository', () => {
    for (const resolvedFrom of ['a/b@v0', 'a/c@v1', undefined]) {
      assert.deepEqual(onHub({}, { model: { revision: 'c0ffee', resolvedFrom } }), { huggingFace });
    }
  });

  it('has what a run wants warm loaded before it is asked for, beside what asks for it itself', () => {
    const preloaded = (name: string, preload: boolean) =>
      referenceModel({ metadata: { name }, spec: { preload } });
    const models = [preloaded('a', true), preloaded('b', false), preloaded('c', false)];

    const catalog = withPreloads(buildCatalog(models, podPlaces), new Set(['rl/c', 'rl/gone']));

    assert.deepEqual(
      catalog.models.map(({ preload }) => preload),
      [true, false, true],
    );
  });

  it('gives the same bytes for the same models in any order', () => {
    const models = ['c', 'a', 'b'].map((name) => referenceModel({ metadata: { name } }));
    const text = (list: typeof models) => JSON.stringify(buildCatalog(list, podPlaces));

    assert.equal(text(models), text(models.toReversed()));
    assert.deepEqual(
      buildCatalog(models, podPlaces).models.map(({ name }) => name),
      ['rl/a', 'rl/b', 'rl/c'],
    );
  });
});
