import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coldStart } from '../../../../../operator/controller/plan/cold-start.ts';
import { made, modelState, readyPod } from '../../../../support/facts.ts';

const holding = { pod: readyPod(), state: modelState() };

describe('coldStart', () => {
  it('counts the start of the pod in when the load began as soon as it was ready', () => {
    assert.deepEqual(coldStart(holding, made + 7000), {
      schedule: '1',
      image: '2',
      convert: '1.5',
      load: '0.5',
      total: '6',
    });
  });

  it('is the load alone in a pod that was warm', () => {
    assert.deepEqual(coldStart(holding, made + 600_000), {
      convert: '1.5',
      load: '0.5',
      total: '2',
    });
  });

  it('tells the download where there was one', () => {
    const state = modelState({ seconds: { download: 30, convert: 1.5, load: 0.5 } });

    assert.deepEqual(coldStart({ ...holding, state }, made + 600_000), {
      download: '30',
      convert: '1.5',
      load: '0.5',
      total: '32',
    });
  });

  it('is unknown for a model that does not tell its times', () => {
    const state = modelState({ residency: 'Loaded' });

    assert.equal(coldStart({ ...holding, state }, made), undefined);
  });
});
