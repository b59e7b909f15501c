import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditions } from '../../../../../operator/controller/plan/conditions.ts';
import type { ModelFacts } from '../../../../../operator/controller/plan/facts.ts';
import {
  at,
  deployment,
  factsOf,
  modelState,
  modelThatWas,
  pod,
  withPod,
} from '../../../../support/facts.ts';

const find = (facts: ModelFacts, type: string) => {
  const found = conditions(facts).find((condition) => condition.type === type);
  assert.ok(found);
  return found;
};
const says = (facts: ModelFacts, type: string) => {
  const { status, reason } = find(facts, type);
  return `${status} ${reason}`;
};

const failed = modelState({ residency: 'Failed', error: { code: 'TENSOR_MISSING', message: 'm' } });
const unschedulable = pod('pod-1', {
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }],
});
const refused = { problem: { reason: 'UnsupportedTask', message: 'not this task' } };
const gone = { problem: { reason: 'ClassNotFound', message: 'no class' }, pool: 'rl/rfm-pool-cpu' };
const taken = { reason: 'NameTaken' as const, message: 'taken' };

describe('Accepted', () => {
  it('says why a spec cannot be served, or a name cannot be had', () => {
    assert.equal(says(factsOf(), 'Accepted'), 'True Valid');
    assert.equal(says(factsOf({ verdict: refused }), 'Accepted'), 'False UnsupportedTask');
    assert.equal(says(factsOf({ problem: taken }), 'Accepted'), 'False NameTaken');
  });

  it('goes on serving a model whose class is gone, as long as there is its pool', () => {
    const orphan = withPod([modelState()], { verdict: gone });
    const homeless = factsOf({ verdict: gone, deployment: undefined });

    assert.deepEqual(
      [says(orphan, 'Accepted'), says(orphan, 'Available'), says(orphan, 'Loaded')],
      ['True ClassRemoved', 'True Loaded', 'True Resident'],
    );
    assert.equal(says(homeless, 'Accepted'), 'False ClassNotFound');
  });
});

describe('Available', () => {
  const table: { name: string; given: ModelFacts; want: string }[] = [
    { name: 'nothing runs', given: factsOf(), want: 'True OnDemand' },
    { name: 'the model is loaded', given: withPod([modelState()]), want: 'True Loaded' },
    { name: 'another model is loaded', given: withPod([]), want: 'True OnDemand' },
    {
      name: 'the spec is refused',
      given: factsOf({ verdict: refused }),
      want: 'False NotAccepted',
    },
    { name: 'a name is taken', given: factsOf({ problem: taken }), want: 'False NotAccepted' },
    {
      name: 'the pool is not made yet',
      given: factsOf({ deployment: undefined }),
      want: 'False Creating',
    },
    { name: 'the load failed', given: withPod([failed]), want: 'False TensorMissing' },
    {
      name: 'no pod can start',
      given: factsOf({ deployment: deployment(1), pods: [unschedulable] }),
      want: 'False Unschedulable',
    },
    {
      name: 'one pod cannot start and another runs',
      given: withPod([], {
        pods: [...withPod([]).pods, { ...unschedulable, metadata: { name: 'pod-2' } }],
      }),
      want: 'True OnDemand',
    },
  ];
  for (const { name, given, want } of table) {
    it(`is ${want} when ${name}`, () => assert.equal(says(given, 'Available'), want));
  }
});

describe('conditions', () => {
  it('are the four, about this generation', () => {
    const all = conditions(factsOf());

    assert.deepEqual(
      all.map(({ type, observedGeneration }) => [type, observedGeneration]),
      [
        ['Accepted', 1],
        ['Available', 1],
        ['Loaded', 1],
        ['Degraded', 1],
      ],
    );
  });

  it('keep the time of their last change while their status does not change', () => {
    const model = modelThatWas('Loaded', { status: 'False', reason: 'Evicted' });

    const same = find(factsOf({ model }), 'Loaded');
    const other = find(withPod([modelState()], { model }), 'Loaded');

    assert.equal(same.lastTransitionTime, at(-100));
    assert.equal(other.lastTransitionTime, at(6));
  });
});
