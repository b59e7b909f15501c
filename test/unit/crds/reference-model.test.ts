import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { referenceModel } from '../../../crds/reference-model.ts';
import { badManifests } from '../../support/bad-manifests.ts';
import { modelManifest } from '../../support/builders.ts';

describe('ReferenceModel', () => {
  it('needs a model only, and fills in every default', () => {
    const { spec } = referenceModel.parse(modelManifest());

    assert.equal(spec.quantization, 'Int8');
    assert.equal(spec.placement, 'Shared');
    assert.equal(spec.access, 'Anonymous');
    assert.equal(spec.task, undefined);
    assert.deepEqual(spec.scaling, {
      minReplicas: 0,
      maxReplicas: 1,
      idleTimeout: '20m',
      concurrency: 20,
    });
    assert.deepEqual(spec.limits, { maxSequenceTokens: 8192, maxBatchTokens: 16384 });
  });

  it('survives fields of a newer version', () => {
    const manifest = modelManifest({ spec: { ...modelManifest().spec, novelty: 1 } });

    assert.equal('novelty' in referenceModel.parse(manifest).spec, false);
  });

  it('drops a status that it cannot read, rather than the object', () => {
    assert.equal(
      referenceModel.parse(modelManifest({ status: { replicas: 'x' } })).status,
      undefined,
    );
  });

  for (const { name, manifest, field } of badManifests) {
    if (manifest.kind !== 'ReferenceModel') continue;
    it(`refuses ${name}, naming ${field}`, () => {
      const { error } = referenceModel.safeParse(manifest);

      const named = error?.issues.map((issue) => issue.path.join('.'));
      assert.ok(named?.includes(field), JSON.stringify(error?.issues));
    });
  }
});
