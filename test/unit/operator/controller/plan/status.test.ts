import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRequestTimeStale, planStatus } from '../../../../../operator/controller/plan/status.ts';
import { referenceModel } from '../../../../support/builders.ts';
import {
  at,
  deployment,
  factsOf,
  identity,
  made,
  modelState,
  readyPod,
  withPod,
} from '../../../../support/facts.ts';

describe('planStatus', () => {
  it('says where the model is and what it is', () => {
    const status = planStatus(withPod([modelState()], { now: made + 7000 }));

    assert.equal(status.url, 'http://tiny.rl.svc');
    assert.equal(status.source, 'models/tiny');
    assert.equal(status.gpuClass, 'cpu');
    assert.equal(status.replicas, 1);
    assert.deepEqual(status.loadedOn, ['pod-1']);
    assert.deepEqual(status.model, {
      revision: 'r1',
      digest: 'd1',
      architecture: 'LlamaForCausalLM',
      parameters: 1000,
      contextTokens: 512,
      task: 'LogProbs',
    });
    assert.deepEqual(status.memory, { weights: 4096 });
    assert.equal(status.coldStart?.total, '6');
  });

  describe('of a model that names no class', () => {
    const tooLarge = modelState({
      residency: 'Failed',
      error: { code: 'MODEL_TOO_LARGE', message: 'needs 5 GiB' },
    });
    const outgrown = { gpuClass: 'cpu', memory: '4Gi', observedGeneration: 1 };

    it('remembers the class that a pod said it can never fit, as long as the spec is the same', () => {
      const after = (generation: number) =>
        referenceModel({ metadata: { generation }, status: { outgrown } });

      assert.deepEqual(planStatus(withPod([tooLarge])).outgrown, outgrown);
      assert.deepEqual(planStatus(factsOf({ model: after(1) })).outgrown, outgrown);
      assert.equal(planStatus(factsOf({ model: after(2) })).outgrown, undefined);
    });

    it('does not leave a class that it names itself', () => {
      const model = referenceModel({ spec: { gpuClass: 'cpu' } });

      assert.equal(planStatus(withPod([tooLarge], { model })).outgrown, undefined);
    });

    it('keeps the name of a class that is gone, since its pool stays', () => {
      const model = referenceModel({ status: { gpuClass: 'cpu' } });
      const problem = { reason: 'NoDefaultClass', message: 'none' };

      const inPool = factsOf({ model, verdict: { problem, pool: 'rl/rfm-pool-cpu' } });
      const refused = factsOf({ model, verdict: { problem } });

      assert.deepEqual(
        [planStatus(inPool).gpuClass, planStatus(refused).gpuClass],
        ['cpu', undefined],
      );
    });
  });

  it('names a hub repository as the source', () => {
    const model = referenceModel({ spec: { model: { huggingFace: { repo: 'owner/name' } } } });

    assert.equal(planStatus(factsOf({ model })).source, 'owner/name');
  });

  describe('of a model on the hub', () => {
    const spec = { model: { huggingFace: { repo: 'a/b' } } };
    const found = (revision: string, resolvedFrom = 'a/b@main') =>
      modelState({ identity: { ...identity, revision, resolvedFrom } });
    const before = { revision: 'first', resolvedFrom: 'a/b@main' };

    it('tells the commit, and what it was found for', () => {
      const status = planStatus(withPod([found('first')], { model: referenceModel({ spec }) }));

      assert.equal(status.model?.revision, 'first');
      assert.equal(status.model?.resolvedFrom, 'a/b@main');
    });

    it('stays with the commit when a pod found another for the same revision', () => {
      const model = referenceModel({ spec, status: { model: before } });

      assert.equal(planStatus(withPod([found('second')], { model })).model?.revision, 'first');
      assert.equal(planStatus(factsOf({ model })).model?.revision, 'first');
    });

    it('takes the commit of another revision when the spec names that', () => {
      const status = { model: { ...before, resolvedFrom: 'a/b@old' } };
      const model = referenceModel({ spec, status });

      assert.equal(planStatus(withPod([found('second')], { model })).model?.revision, 'second');
    });

    it('is not misled by a pod that does not know the new spec yet', () => {
      const model = referenceModel({ spec, status: { model: before } });

      const status = planStatus(withPod([found('old', 'a/b@old')], { model }));

      assert.deepEqual(status.model, before);
    });
  });

  it('is the same for the same facts, and for facts that only a later look at them changes', () => {
    const first = planStatus(withPod([modelState()]));
    const model = referenceModel({ status: first });

    const second = planStatus(withPod([modelState()], { model, now: made + 3_600_000 }));

    assert.deepEqual(second, first);
  });

  it('remembers what the model is when its pods are gone', () => {
    const first = planStatus(withPod([modelState()]));

    const status = planStatus(factsOf({ model: referenceModel({ status: first }) }));

    assert.deepEqual(status.loadedOn, []);
    assert.deepEqual(
      [status.model, status.memory, status.coldStart],
      [first.model, first.memory, first.coldStart],
    );
  });

  it('keeps the holder of a model that nobody reports just now', () => {
    const first = planStatus(withPod([modelState()]));
    const model = referenceModel({ status: first });

    const status = planStatus(
      factsOf({ model, deployment: deployment(1), pods: [readyPod()], now: made + 3_600_000 }),
    );

    assert.deepEqual(status, first);
  });

  describe('fidelity', () => {
    const figures = { kl: 0.012_345, meanAbsDelta: 0.000_012_345, maxAbsDelta: 0.5, tokens: 99 };
    const converted = planStatus(withPod([modelState({ fidelity: figures })]));

    it('tells how far the model is from its checkpoint', () => {
      assert.deepEqual(converted.fidelity, { kl: '0.0123', meanAbsDelta: '0.0000123', tokens: 99 });
    });

    it('has no divergence for a reward model', () => {
      const { kl: _, ...deltas } = figures;

      const { fidelity } = planStatus(withPod([modelState({ fidelity: deltas })]));

      assert.deepEqual(fidelity, { meanAbsDelta: '0.0000123', tokens: 99 });
    });

    it('is remembered while the model sleeps, and gone with a load that converts nothing', () => {
      const model = referenceModel({ status: converted });

      assert.deepEqual(planStatus(factsOf({ model })).fidelity, converted.fidelity);
      assert.equal(planStatus(withPod([modelState()], { model })).fidelity, undefined);
    });
  });

  describe('lastRequestTime', () => {
    const model = referenceModel({ status: { lastRequestTime: at(0) } });
    const recorded = (given: Parameters<typeof factsOf>[0]) =>
      planStatus(factsOf(given)).lastRequestTime;
    const awake = { deployment: deployment(1), pods: [readyPod()] };

    const table = [
      { name: 'the first request', given: { ...awake, lastActivity: made }, want: at(0) },
      {
        name: 'a request soon after',
        given: { ...awake, model, lastActivity: made + 59_999 },
        want: at(0),
      },
      {
        name: 'a request a minute after',
        given: { ...awake, model, lastActivity: made + 60_000 },
        want: at(60),
      },
      {
        name: 'the exact time when the pods are gone',
        given: { model, lastActivity: made + 5000 },
        want: at(5),
      },
      { name: 'what it was where nobody knows better', given: { model }, want: at(0) },
      { name: 'nothing where there was no request', given: {}, want: undefined },
    ];
    for (const { name, given, want } of table) {
      it(`is ${name}`, () => assert.equal(recorded(given), want));
    }

    it('is stale when it lags behind by its granularity', () => {
      assert.equal(isRequestTimeStale(model.status, made + 59_999), false);
      assert.equal(isRequestTimeStale(model.status, made + 60_000), true);
      assert.equal(isRequestTimeStale(undefined, made), true);
      assert.equal(isRequestTimeStale(undefined, Number.NEGATIVE_INFINITY), false);
    });
  });
});
