// What a real API server says to our CRDs and to manifests that are wrong.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { badManifests } from '../support/bad-manifests.ts';
import { classManifest, modelManifest } from '../support/builders.ts';
import { type ControlPlane, noControlPlane, startControlPlane } from '../support/control-plane.ts';

if (noControlPlane) console.log(`skipped: ${noControlPlane}`);

describe('a real API server', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    await plane.kubectl(['create', 'namespace', 'rl']).catch(() => {});
  });
  after(() => plane[Symbol.asyncDispose]());

  const apply = (manifest: object) =>
    plane.kubectl(['apply', '--dry-run=server', '-o', 'json', '-f', '-'], JSON.stringify(manifest));

  const withoutUid = (manifest: { metadata: object }) => ({
    ...manifest,
    metadata: { ...manifest.metadata, uid: undefined },
  });

  it('accepts a model that says only what it must, and fills in the rest', async () => {
    const model = JSON.parse(await apply(withoutUid(modelManifest()))) as { spec: object };

    assert.deepEqual(model.spec, {
      model: { persistentVolumeClaim: { claimName: 'models', path: 'tiny' } },
      quantization: 'Int8',
      placement: 'Shared',
      preload: false,
      access: 'Anonymous',
      hold: { maxRequests: 1000, maxBytes: '128Mi' },
      scaling: { minReplicas: 0, maxReplicas: 1, idleTimeout: '20m', concurrency: 20 },
      limits: { maxSequenceTokens: 8192, maxBatchTokens: 16384 },
    });
  });

  it('fills in the defaults of a class', async () => {
    const { spec } = JSON.parse(await apply(classManifest())) as { spec: object };

    assert.deepEqual(spec, {
      executionProvider: 'CPU',
      memory: '4Gi',
      maxModels: 2,
      resources: {},
      cache: {},
      rollout: { maxSurge: '1', maxUnavailable: '0', drainTimeout: '2m' },
    });
  });

  for (const { name, manifest, field } of badManifests) {
    it(`rejects ${name}, naming ${field}`, async () => {
      const refusal = await apply(manifest).then(
        () => 'accepted',
        (err: { stderr: string }) => err.stderr,
      );

      assert.ok(refusal.includes(field), refusal);
    });
  }

  it('explains the fields to a person', async () => {
    const text = await plane.kubectl(['explain', 'rfm.spec.scaling']);

    for (const field of ['minReplicas', 'maxReplicas', 'idleTimeout', 'concurrency']) {
      assert.match(text, new RegExp(`${field}\\t<`));
    }
    assert.match(text, /Time without a request after which pods go/);
  });

  it('knows the short names', async () => {
    const text = await plane.kubectl(['api-resources', '--api-group=refmodel.dev']);

    assert.match(text, /referencemodels +rfm/);
    assert.match(text, /gpuclasses +gpuc/);
  });
});
