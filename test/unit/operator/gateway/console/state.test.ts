import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consoleState as schema } from '../../../../../operator/gateway/console/contract.ts';
import { consoleState } from '../../../../../operator/gateway/console/state.ts';
import { referenceModel } from '../../../../support/builders.ts';
import { loaded, pool, snapshot } from '../../../../support/console-kit.ts';
import { model } from '../../../../support/gateway-kit.ts';

const demand = (overrides: object = {}) => [
  { model: 'rl/tiny', inFlight: 0, held: 0, lastActivity: null, ...overrides },
];

describe('the state of the console', () => {
  it('is in the words of its contract, and says the same of the same', () => {
    const given = snapshot({ held: [loaded()], demand: demand() });

    const state: unknown = JSON.parse(JSON.stringify(consoleState(given)));

    assert.deepEqual(schema.parse(state), state);
    assert.deepEqual(JSON.parse(JSON.stringify(consoleState(given))), state);
  });

  it('tells what a model is, where it is, and what it takes', () => {
    const fidelity = { kl: 0.01, meanAbsDelta: 0.1, maxAbsDelta: 0.5, tokens: 9 };
    const policy = { k1: 0.1, k3: 0.2, tokens: 3 };
    const seconds = { download: 3, convert: 2, load: 1 };
    const memory = { host: 10, device: 20 };
    const held = [loaded({ fidelity, policy, seconds, memory })];
    const object = referenceModel({ spec: { fidelity: { maxKL: '0.05' }, gpuClass: 'a10' } });

    const [shown] = consoleState(snapshot({ held, objects: [object] })).models;

    assert.equal(shown?.source, 'models/tiny');
    assert.equal(shown?.gpuClass, 'a10');
    assert.deepEqual(shown?.pods, ['pod-a']);
    assert.deepEqual(
      [shown?.fidelity, shown?.policy, shown?.memory, shown?.coldStart, shown?.maxKL],
      [fidelity, policy, memory, seconds, 0.05],
    );
  });

  it('keeps what the operator remembers of a model that sleeps', () => {
    const status = {
      fidelity: { kl: '0.02', meanAbsDelta: '0.3', tokens: 7 },
      model: { architecture: 'LlamaForCausalLM', parameters: 5, revision: 'abc' },
      lastRequestTime: '2026-01-02T00:00:00Z',
    };

    const [shown] = consoleState(snapshot({ objects: [referenceModel({ status })] })).models;

    assert.equal(shown?.standing, 'Asleep');
    assert.deepEqual(shown?.fidelity, { kl: 0.02, meanAbsDelta: 0.3, tokens: 7 });
    assert.deepEqual([shown?.architecture, shown?.revision], ['LlamaForCausalLM', 'abc']);
    assert.equal(shown?.lastRequest, '2026-01-02T00:00:00Z');
  });

  it('tells who waits, and takes the later of two times of a request', () => {
    const [early, late] = ['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'];
    const waiting = [{ caller: 'run-7', requests: 3 }];
    const objects = [referenceModel({ status: { lastRequestTime: early } })];

    const [shown] = consoleState(
      snapshot({
        demand: demand({ held: 3, lastActivity: late }),
        waiting: () => waiting,
        objects,
      }),
    ).models;

    assert.deepEqual([shown?.held, shown?.waiting], [3, waiting]);
    assert.equal(shown?.lastRequest, late);
  });

  it('tells how far a load is', () => {
    const progress = { bytes: 1, totalBytes: 4 };
    const held = [loaded({ residency: 'Downloading', progress })];

    const [shown] = consoleState(snapshot({ held })).models;

    assert.deepEqual(shown?.load, { pod: 'pod-a', phase: 'Downloading', ...progress });
    assert.deepEqual(shown?.pods, []);
  });

  it('tells the budget of each pod and what fills it, heard from or not', () => {
    const limits = { host: 100 };
    const memory = { host: 10, device: 0 };
    const given = snapshot({ held: [loaded({ memory })], pod: { limits } });
    given.report.traffic.push({ pod: 'pod-b', pool, inFlight: 0 });

    const [heard, unheard] = consoleState(given).pods;

    assert.deepEqual([heard?.pod, heard?.inFlight, heard?.limits], ['pod-a', 2, limits]);
    assert.deepEqual(heard?.models, [{ name: 'rl/tiny', residency: 'Loaded', memory }]);
    assert.deepEqual([unheard?.pod, unheard?.isHeard, unheard?.models], ['pod-b', false, []]);
  });

  it('lists the runs, and with each model those that keep it warm', () => {
    const lease = (run: string, ...models: string[]) => ({ run, models, expiresAt: 0 });
    const leases = [lease('b', 'rl/tiny'), lease('a', 'rl/tiny'), lease('c', 'rl/other')];

    const { runs, models } = consoleState(snapshot({ leases }));

    assert.deepEqual(
      runs.map(({ run }) => run),
      ['a', 'b', 'c'],
    );
    assert.equal(runs[0]?.expiresAt, '1970-01-01T00:00:00.000Z');
    assert.deepEqual(models[0]?.runs, ['a', 'b']);
  });

  it('is sorted by namespace and name, and shows objects that it cannot read', () => {
    const models = ['b/a', 'a/b', 'a/a'].map((key) => model({ key }));

    const state = consoleState(snapshot({ models, objects: [] }));

    assert.deepEqual(
      state.models.map(({ name }) => name),
      ['a/a', 'a/b', 'b/a'],
    );
    assert.equal(state.models[0]?.source, '');
  });

  it('holds nothing of a token, of a Secret or of its name', () => {
    const huggingFace = { repo: 'a/b', tokenSecretRef: { name: 'my-secret', key: 'my-key' } };
    const object = referenceModel({ spec: { model: { huggingFace } } });

    const text = JSON.stringify(consoleState(snapshot({ objects: [object] })));

    assert.match(text, /a\/b/);
    assert.doesNotMatch(text, /my-secret|my-key/);
  });
});
