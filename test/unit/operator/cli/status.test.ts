import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { only } from '../../../../operator/cli/status.ts';
import { consoleState } from '../../../../operator/gateway/console/state.ts';
import { loaded, snapshot } from '../../../support/console-kit.ts';
import { model } from '../../../support/gateway-kit.ts';

describe('the status of some models', () => {
  const state = consoleState(
    snapshot({ models: [model(), model({ key: 'rl/other' })], held: [loaded()] }),
  );

  it('leaves the others out, and pods that hold none of them', () => {
    assert.deepEqual(only(state, []), state);
    assert.equal(only(state, ['rl/tiny']).pods.length, 1);
    const { models, pods } = only(state, ['rl/other']);
    assert.deepEqual([models.map(({ name }) => name), pods], [['rl/other'], []]);
  });

  it('names a model that there is not', () => {
    assert.throws(() => only(state, ['rl/gone']), { code: 'MODEL_NOT_FOUND' });
  });
});
