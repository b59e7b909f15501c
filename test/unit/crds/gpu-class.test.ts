import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gpuClass, isDefaultClass } from '../../../crds/gpu-class.ts';
import { badManifests } from '../../support/bad-manifests.ts';
import { classManifest } from '../../support/builders.ts';

describe('GPUClass', () => {
  it('needs a provider and memory only', () => {
    const { spec } = gpuClass.parse(classManifest());

    assert.equal(spec.maxModels, 2);
    assert.deepEqual(spec.cache, {});
    assert.deepEqual(spec.rollout, { maxSurge: '1', maxUnavailable: '0', drainTimeout: '2m' });
  });

  it('is the default by its annotation alone', () => {
    const annotated = (value: string) =>
      gpuClass.parse(
        classManifest({ metadata: { annotations: { 'refmodel.dev/is-default-class': value } } }),
      );

    assert.equal(isDefaultClass(annotated('true')), true);
    assert.equal(isDefaultClass(annotated('false')), false);
    assert.equal(isDefaultClass(gpuClass.parse(classManifest())), false);
  });

  for (const { name, manifest, field } of badManifests) {
    if (manifest.kind !== 'GPUClass') continue;
    it(`refuses ${name}, naming ${field}`, () => {
      const { error } = gpuClass.safeParse(manifest);

      assert.ok(error?.issues.some((issue) => issue.path.join('.') === field));
    });
  }
});
