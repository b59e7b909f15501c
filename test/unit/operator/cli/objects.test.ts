import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stateOfObjects } from '../../../../operator/cli/objects.ts';
import { gpuClass, referenceModel } from '../../../support/builders.ts';
import { condition } from '../../../support/console-kit.ts';

const standingOf = (status: object) => {
  const [model] = stateOfObjects([referenceModel({ status })], [gpuClass()]).models;
  return [model?.standing, model?.pods];
};
const accepted = condition('Accepted', 'True', 'Valid');

describe('what objects alone say', () => {
  it('is where the model is loaded, or what it is at', () => {
    const conditions = [accepted, condition('Loaded', 'False', 'Converting')];

    assert.deepEqual(standingOf({ loadedOn: ['pod-1'], conditions: [accepted] }), [
      'Warm',
      ['pod-1'],
    ]);
    assert.deepEqual(standingOf({ conditions }), ['Loading', []]);
    assert.deepEqual(standingOf({ conditions: [accepted] }), ['Asleep', []]);
  });

  it('is why it is not served', () => {
    const failed = condition('Degraded', 'True', 'ImagePull');

    assert.deepEqual(standingOf({ conditions: [accepted, failed] })[0], 'Failed');
    assert.deepEqual(
      standingOf({ conditions: [condition('Accepted', 'False', 'NameTaken')] })[0],
      'Refused',
    );
  });
});
