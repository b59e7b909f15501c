import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { silentLogger } from '../../../../common/log.ts';
import type { ReferenceModelStatus } from '../../../../crds/reference-model.ts';
import { eventsBetween, Recorder } from '../../../../operator/controller/events.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { planStatus } from '../../../../operator/controller/plan/status.ts';
import { referenceModel } from '../../../support/builders.ts';
import {
  deployment,
  factsOf,
  modelState,
  modelThatWas,
  pod,
  withPod,
} from '../../../support/facts.ts';
import { clientOf, never } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';

const was = (reason: string, status: 'True' | 'False' = 'False', more = {}) =>
  modelThatWas('Loaded', { status, reason }, more);
const failed = modelState({ residency: 'Failed', error: { code: 'DISK_FULL', message: 'm' } });
const asleep = { status: { lastRequestTime: '2026-01-01T00:00:00Z' } };
const starting = { deployment: deployment(1), pods: [pod()], asked: 1 };

const table: { name: string; facts: ReturnType<typeof factsOf>; want: string[] }[] = [
  { name: 'a new model', facts: factsOf(), want: [] },
  {
    name: 'a model that is refused',
    facts: factsOf({ verdict: { problem: { reason: 'ClassNotFound', message: '' } } }),
    want: ['Warning ClassNotFound'],
  },
  {
    name: 'a model that is woken',
    facts: factsOf({ ...starting, model: was('ScaledToZero') }),
    want: ['Normal Waking'],
  },
  {
    name: 'a model that is loaded',
    facts: withPod([modelState()], { model: was('Loading') }),
    want: ['Normal Loaded'],
  },
  {
    name: 'a model that is evicted',
    facts: withPod([], { model: was('Resident', 'True', { loadedOn: ['pod-1'] }) }),
    want: ['Normal Evicted'],
  },
  {
    name: 'a pool that was idle',
    facts: factsOf({ model: was('Resident', 'True', asleep.status) }),
    want: ['Normal ScaledToZero'],
  },
  {
    name: 'a model that was idle before anybody looked',
    facts: factsOf({ model: referenceModel(asleep) }),
    want: [],
  },
  {
    name: 'a load that failed',
    facts: withPod([failed], { model: was('Loading') }),
    want: ['Warning DiskFull'],
  },
];

describe('eventsBetween', () => {
  for (const { name, facts, want } of table) {
    it(`tells of ${name}: ${want.join() || 'nothing'}`, () => {
      const notes = eventsBetween(facts.model.status, planStatus(facts));

      assert.deepEqual(
        notes.map(({ type, reason }) => `${type} ${reason}`),
        want,
      );
    });

    it(`tells of ${name} once`, () => {
      const status: ReferenceModelStatus = planStatus(facts);

      assert.deepEqual(eventsBetween(status, status), []);
    });
  }
});

describe('Recorder', () => {
  const note = { type: 'Normal' as const, reason: 'Loaded', action: 'Loading', note: 'in memory' };

  it('writes an event about the model', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const metrics = new ControllerMetrics();
    const recorder = new Recorder({
      client,
      clock: systemClock,
      log: silentLogger,
      metrics,
      instance: 'me',
    });

    await recorder.record(referenceModel(), [note], never);

    const { items } = await client.list(
      {
        group: 'events.k8s.io',
        version: 'v1',
        kind: 'Event',
        plural: 'events',
        isNamespaced: true,
        parse: (v) => v as object,
      },
      { namespace: 'rl' },
      never,
    );
    const { regarding, reason } = items[0] as unknown as { regarding: object; reason: string };
    assert.equal(reason, 'Loaded');
    assert.deepEqual(regarding, {
      apiVersion: 'refmodel.dev/v1alpha1',
      kind: 'ReferenceModel',
      name: 'tiny',
      namespace: 'rl',
      uid: 'uid-tiny',
    });
    client.close();
  });

  it('bears that one cannot be written', async () => {
    await using server = await KubeServer.start();
    const client = clientOf(server);
    const metrics = new ControllerMetrics();
    const recorder = new Recorder({
      client,
      clock: systemClock,
      log: silentLogger,
      metrics,
      instance: 'me',
    });
    server.failNext({ status: 403, reason: 'Forbidden' });

    await recorder.record(referenceModel(), [note, note], never);

    assert.equal(server.requests.length, 2);
    client.close();
  });
});
