import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { degraded } from '../../../../../operator/controller/plan/degraded.ts';
import type { ModelFacts } from '../../../../../operator/controller/plan/facts.ts';
import { referenceModel } from '../../../../support/builders.ts';
import {
  at,
  deployment,
  factsOf,
  modelState,
  modelThatWas,
  pod,
  withPod,
} from '../../../../support/facts.ts';

const unschedulable = pod('pod-1', {
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '' }],
});
const failed = (code: string) =>
  modelState({ residency: 'Failed', error: { code, message: 'the words of the pod' } });
const was = (reason: string) => modelThatWas('Degraded', { status: 'True', reason });
const refusedPods = deployment(1, {
  status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'quota' }] },
});
const changed = referenceModel({
  metadata: { generation: 2 },
  status: was('WeightsCorrupt').status ?? {},
});

const table: { name: string; given: ModelFacts; want: string }[] = [
  { name: 'nothing was tried', given: factsOf(), want: 'False NoFailure' },
  { name: 'the model is loaded', given: withPod([modelState()]), want: 'False NoFailure' },
  {
    name: 'the pod reports why it cannot load it',
    given: withPod([failed('WEIGHTS_CORRUPT')]),
    want: 'True WeightsCorrupt',
  },
  {
    name: 'the converted model is not as near to its checkpoint as the spec wants it',
    given: withPod([failed('FIDELITY_TOO_LOW')]),
    want: 'True FidelityTooLow',
  },
  {
    name: 'its pod fits nowhere',
    given: factsOf({ deployment: deployment(1), pods: [unschedulable] }),
    want: 'True Unschedulable',
  },
  {
    name: 'no pod may be made',
    given: factsOf({ deployment: refusedPods }),
    want: 'True PodsNotCreated',
  },
  {
    name: 'its objects were refused',
    given: factsOf({ problem: { reason: 'ApplyFailed', message: '' } }),
    want: 'True ApplyFailed',
  },
  {
    name: 'a name is taken: that is not an attempt',
    given: factsOf({ problem: { reason: 'NameTaken', message: '' } }),
    want: 'False NoFailure',
  },
  {
    name: 'the last attempt failed and the pod is gone',
    given: factsOf({ model: was('WeightsCorrupt') }),
    want: 'True WeightsCorrupt',
  },
  {
    name: 'the last load failed and a new pod has not tried yet',
    given: withPod([], { model: was('WeightsCorrupt') }),
    want: 'True WeightsCorrupt',
  },
  {
    name: 'the pod that could not load it has forgotten that, as it does when the spec changes',
    given: withPod([], {
      model: modelThatWas('Degraded', {
        status: 'True',
        reason: 'WeightsCorrupt',
        lastTransitionTime: at(5),
      }),
    }),
    want: 'False NoFailure',
  },
  {
    name: 'the pod that could not load it tries again',
    given: withPod([modelState({ residency: 'Loading' })], {
      model: modelThatWas('Degraded', {
        status: 'True',
        reason: 'WeightsCorrupt',
        lastTransitionTime: at(5),
      }),
    }),
    want: 'True WeightsCorrupt',
  },
  {
    name: 'the last load failed and this one did not',
    given: withPod([modelState()], { model: was('WeightsCorrupt') }),
    want: 'False NoFailure',
  },
  {
    name: 'its pod fitted nowhere and now one is ready',
    given: withPod([], { model: was('Unschedulable') }),
    want: 'False NoFailure',
  },
  {
    name: 'its objects were refused and now are not',
    given: factsOf({ model: was('ApplyFailed') }),
    want: 'False NoFailure',
  },
  {
    name: 'the last attempt failed with another spec',
    given: factsOf({ model: changed }),
    want: 'False NoFailure',
  },
];

describe('degraded', () => {
  for (const { name, given, want } of table) {
    it(`is ${want} when ${name}`, () => {
      const { status, reason } = degraded(given);

      assert.equal(`${status} ${reason}`, want);
    });
  }

  it('carries the words of the pod', () => {
    assert.equal(degraded(withPod([failed('OUT_OF_MEMORY')])).message, 'the words of the pod');
  });
});
