import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coldStartOf, remedyOf, sourceOf } from '../../../../../operator/gateway/console/facts.ts';
import { referenceModel } from '../../../../support/builders.ts';
import { loaded } from '../../../../support/console-kit.ts';

describe('facts of a model', () => {
  it('names a repository, or a claim with or without a folder', () => {
    const huggingFace = { repo: 'a/b' };
    const persistentVolumeClaim = { claimName: 'c' };

    assert.equal(sourceOf(referenceModel({ spec: { model: { huggingFace } } })), 'a/b');
    assert.equal(sourceOf(referenceModel({ spec: { model: { persistentVolumeClaim } } })), 'c');
    assert.equal(sourceOf(referenceModel()), 'models/tiny');
  });

  it('takes the phases of a cold start from the operator, else from the server', () => {
    const seconds = { download: 3, convert: 2, load: 1 };
    const told = { schedule: '0.5', load: '4', total: '4.5' };

    assert.deepEqual(
      coldStartOf(referenceModel({ status: { coldStart: told } }), loaded({ seconds })),
      { schedule: 0.5, load: 4 },
    );
    assert.deepEqual(coldStartOf(referenceModel(), loaded({ seconds })), seconds);
    assert.equal(coldStartOf(undefined, undefined), undefined);
  });

  it('has a remedy for each error code and for nothing else', () => {
    assert.equal(typeof remedyOf('DISK_FULL').remedy, 'string');
    assert.deepEqual(remedyOf('toString'), {});
  });
});
