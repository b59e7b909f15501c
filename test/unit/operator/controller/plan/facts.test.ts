import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  holdings,
  isAsleep,
  livePods,
  standing,
} from '../../../../../operator/controller/plan/facts.ts';
import { referenceModel } from '../../../../support/builders.ts';
import {
  deployment,
  factsOf,
  modelState,
  modelThatWas,
  readyPod,
  serverState,
  terminating,
  withPod,
} from '../../../../support/facts.ts';

describe('facts', () => {
  it('count neither pods on their way out nor what those hold', () => {
    const facts = withPod([modelState()], { pods: [terminating(readyPod())] });

    assert.deepEqual(livePods(facts), []);
    assert.deepEqual(holdings(facts), []);
  });

  it('find this model among those that a pod holds', () => {
    const other = modelState({ name: 'rl/other' });

    const facts = withPod([], { states: new Map([['pod-1', serverState(other, modelState())]]) });

    assert.deepEqual(
      holdings(facts).map(({ state }) => state.name),
      ['rl/tiny'],
    );
  });

  it('sleep only when no pod is wanted and none is left', () => {
    assert.equal(isAsleep(factsOf()), true);
    assert.equal(isAsleep(factsOf({ deployment: deployment(1) })), false);
    assert.equal(isAsleep(factsOf({ pods: [readyPod()] })), false);
    assert.equal(isAsleep(factsOf({ pods: [terminating(readyPod())] })), true);
  });

  it('take a condition of an older spec for none', () => {
    const was = modelThatWas('Loaded', { status: 'True', reason: 'Resident' });
    const older = referenceModel({ metadata: { generation: 2 }, status: was.status ?? {} });

    assert.equal(standing(factsOf({ model: was }), 'Loaded')?.reason, 'Resident');
    assert.equal(standing(factsOf({ model: older }), 'Loaded'), undefined);
  });
});
