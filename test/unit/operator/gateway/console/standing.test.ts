import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consoleState } from '../../../../../operator/gateway/console/state.ts';
import { referenceModel } from '../../../../support/builders.ts';
import { condition, type Given, loaded, snapshot } from '../../../../support/console-kit.ts';
import { model } from '../../../../support/gateway-kit.ts';

const withConditions = (...conditions: object[]) => [referenceModel({ status: { conditions } })];
const held = [{ model: 'rl/tiny', inFlight: 0, held: 1, lastActivity: null }];
const error = { code: 'MODEL_TOO_LARGE', message: 'it needs more' };

const cases: { name: string; given: Given; want: string; reason?: string }[] = [
  { name: 'in memory', given: { held: [loaded()] }, want: 'Warm' },
  { name: 'being loaded', given: { held: [loaded({ residency: 'Converting' })] }, want: 'Loading' },
  { name: 'not in memory', given: {}, want: 'Asleep' },
  {
    name: 'failed in a pod',
    given: { held: [loaded({ residency: 'Failed', error })] },
    want: 'Failed',
    reason: 'MODEL_TOO_LARGE',
  },
  {
    name: 'failed as the operator says',
    given: { objects: withConditions(condition('Degraded', 'True', 'WeightsCorrupt')) },
    want: 'Failed',
    reason: 'WeightsCorrupt',
  },
  { name: 'waited for', given: { demand: held }, want: 'Starting' },
  {
    name: 'waited for in vain',
    given: { demand: held, trouble: () => 'no node has a GPU' },
    want: 'Starting',
    reason: 'NotReady',
  },
  {
    name: 'started for somebody else',
    given: { objects: withConditions(condition('Loaded', 'False', 'Starting')) },
    want: 'Starting',
  },
  {
    name: 'refused by the operator',
    given: {
      models: [model({ acceptance: { state: 'Refused', message: 'x' } })],
      objects: withConditions(condition('Accepted', 'False', 'ClassNotFound')),
    },
    want: 'Refused',
    reason: 'ClassNotFound',
  },
  {
    name: 'refused by the gateway',
    given: { models: [model({ acceptance: { state: 'Refused', message: 'x' } })] },
    want: 'Refused',
    reason: 'MODEL_NOT_ACCEPTED',
  },
  {
    name: 'not judged yet',
    given: { models: [model({ acceptance: { state: 'Unknown' } })] },
    want: 'Unknown',
  },
];

describe('where a model stands', () => {
  for (const { name, given, want, reason } of cases) {
    it(`is ${want} when it is ${name}`, () => {
      const [shown] = consoleState(snapshot(given)).models;

      assert.deepEqual([shown?.standing, shown?.why?.reason], [want, reason]);
    });
  }

  it('says what to do about an error, told by a pod or by the operator', () => {
    const [byPod] = consoleState(
      snapshot({ held: [loaded({ residency: 'Failed', error })] }),
    ).models;
    const [byOperator] = consoleState(
      snapshot({ objects: withConditions(condition('Degraded', 'True', 'ModelTooLarge')) }),
    ).models;

    assert.equal(typeof byPod?.why?.remedy, 'string');
    assert.equal(byOperator?.why?.remedy, byPod?.why?.remedy);
  });

  it('is warm although another pod failed to load it', () => {
    const given = snapshot({ held: [loaded({ residency: 'Failed', error })] });
    const [pod] = given.report.pods;
    assert.ok(pod, 'there is a pod');
    given.report.pods.push({ ...pod, pod: 'pod-b', state: { ...pod.state, models: [loaded()] } });

    const [shown] = consoleState(given).models;

    assert.deepEqual([shown?.standing, shown?.pods], ['Warm', ['pod-b']]);
  });
});
