import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DemandView, unknownDemand } from '../../../../../operator/controller/demand.ts';
import { Lately } from '../../../../../operator/controller/lately.ts';
import {
  drainFacts,
  isAtRest,
  poolActivity,
} from '../../../../../operator/controller/plan/pool-activity.ts';
import type { Pod } from '../../../../../operator/kube/resources.ts';
import { decideReplicas } from '../../../../../operator/scale.ts';
import { referenceModel } from '../../../../support/builders.ts';
import {
  at,
  container,
  deployment,
  made,
  modelState,
  pod,
  readyPod,
  serverState,
  terminating,
} from '../../../../support/facts.ts';

const pool = 'rl/rfm-pool-cpu';
const demand = (more: Partial<DemandView> = {}): DemandView => ({
  ...unknownDemand,
  isComplete: true,
  ...more,
});
const asked = (count: number, lastActivity = Number.NEGATIVE_INFINITY) =>
  demand({ models: new Map([['rl/tiny', { asked: count, lastActivity }]]) });
const facts = {
  pool,
  deployment: deployment(1),
  models: [referenceModel()],
  pods: [],
  demand: demand(),
  leased: new Set<string>(),
};
const activity = (more: Partial<Parameters<typeof poolActivity>[0]> = {}) =>
  poolActivity({ ...facts, ...more }, new Lately(Number.NEGATIVE_INFINITY), made);

const crashed: Pod = pod('pod-1', {
  containerStatuses: [
    container({ restartCount: 4, lastState: { terminated: { exitCode: 1, reason: 'Error' } } }),
  ],
});

describe('a pool at rest', () => {
  const resting = { ...facts, deployment: deployment(0) };
  const cases: { name: string; given: Partial<typeof facts>; want: boolean }[] = [
    { name: 'is one without pods that nobody asks for', given: {}, want: true },
    {
      name: 'also while a report is missing',
      given: { demand: unknownDemand },
      want: true,
    },
    { name: 'is not one that wants a pod', given: { deployment: deployment(1) }, want: false },
    {
      name: 'is not one with a pod',
      given: { pods: [terminating(readyPod())] as never },
      want: false,
    },
    { name: 'is not one that is asked for', given: { demand: asked(1) }, want: false },
    {
      name: 'is not one that a run wants warm',
      given: { leased: new Set(['rl/tiny']) },
      want: false,
    },
    {
      name: 'is not one that must have pods',
      given: { models: [referenceModel({ spec: { scaling: { minReplicas: 1 } } })] },
      want: false,
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => {
      const its = { ...resting, ...given };

      assert.equal(isAtRest(its), want);
      if (want) assert.equal(decideReplicas(activity(its), made).replicas, 0);
    });
  }
});

describe('poolActivity', () => {
  it('starts the idle clock when the youngest pod is ready', () => {
    const younger = readyPod('pod-2');
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: at(50) }];
    younger.status = { ...younger.status, conditions };

    assert.equal(activity({ pods: [readyPod(), younger] }).readySince, made + 50_000);
    assert.equal(activity({ pods: [pod()] }).readySince, undefined);
    assert.equal(activity({ pods: [terminating(readyPod())] }).readySince, undefined);
  });

  it('starts it when a pod was made that cannot become ready, so that it need not stay for ever', () => {
    assert.equal(activity({ pods: [crashed] }).readySince, made);
  });

  it('is loading while any pod loads any model', () => {
    const loading = serverState(modelState({ name: 'rl/x', residency: 'Loading' }));
    const states = new Map([[pool, new Map([['pod-1', loading]])]]);

    assert.equal(activity({ demand: demand({ states }) }).isLoading, true);
    assert.equal(activity().isLoading, false);
  });

  it('falls back on the stored time, plus what it may lag behind, when gateways know of no request', () => {
    const model = referenceModel({ status: { lastRequestTime: at(0) } });
    const last = (view: DemandView) =>
      activity({ models: [model], demand: view }).models[0]?.lastActivity;

    assert.equal(last(demand()), made + 60_000);
    assert.equal(last(asked(0, made + 5000)), made + 5000);
    assert.equal(last(asked(0, made - 5000)), made);
  });

  it('knows the models that a run wants warm', () => {
    const leased = new Set(['rl/tiny']);

    assert.equal(activity({ leased }).models[0]?.isLeased, true);
  });

  it('takes the scaling of the models as it is', () => {
    const scaling = { minReplicas: 1, maxReplicas: 3, idleTimeout: '90s', concurrency: 4 };
    const model = referenceModel({ spec: { scaling } });

    const [found] = activity({ models: [model], demand: asked(7) }).models;

    assert.deepEqual(found, {
      minReplicas: 1,
      maxReplicas: 3,
      idleTimeoutMs: 90_000,
      concurrency: 4,
      asked: 7,
      isLeased: false,
      lastActivity: Number.NEGATIVE_INFINITY,
    });
  });
});

describe('drainFacts', () => {
  const about = (view: DemandView) => drainFacts({ ...facts, demand: view }, 0, 1000);

  it('takes a pod for busy while a gateway names it, or one does not answer', () => {
    const traffic = new Map([[pool, new Set(['pod-1'])]]);

    const { mayBeBusy } = about(demand({ traffic }));
    const unknown = about(demand({ isComplete: false })).mayBeBusy;

    assert.deepEqual(
      [mayBeBusy('pod-1'), mayBeBusy('pod-2'), unknown('pod-2')],
      [true, false, true],
    );
  });

  it('counts what a pod holds', () => {
    const states = new Map([[pool, new Map([['pod-1', serverState(modelState())]])]]);

    const { worth } = about(demand({ states }));

    assert.deepEqual([worth('pod-1'), worth('pod-2')], [1, 0]);
  });
});
