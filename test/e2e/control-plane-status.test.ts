// What the operator says in the status of a model, and when it scales, against a real API server. Pods are played by kwok.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { type Pod, resources } from '../../operator/kube/resources.ts';
import {
  type ControlPlane,
  FakeGateway,
  fakeNode,
  hasKwok,
  noControlPlane,
  ownAddress,
  startControlPlane,
  startOperator,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { identity } from '../support/facts.ts';
import { reason, soon, stage, wake } from '../support/stage.ts';

if (noControlPlane) console.log(`skipped: ${noControlPlane}`);

describe('the status of a model on a real API server', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    if (hasKwok) await plane.kubectl(['apply', '-f', '-'], JSON.stringify(fakeNode('fake')));
  });
  after(() => plane[Symbol.asyncDispose]());

  it('waits for a class that is missing', async () => {
    const { namespace, apply, model, ofClass, get } = await stage(plane);
    await apply(model('a'));
    await using _operator = startOperator(plane, namespace);
    const refused = await reason(() => get('a'), 'Accepted', 'ClassNotFound');

    await apply(ofClass());
    const accepted = await reason(() => get('a'), 'Available', 'OnDemand');

    const available = refused.status?.conditions?.find(({ type }) => type === 'Available');
    assert.equal(available?.reason, 'NotAccepted');
    assert.equal(accepted.status?.gpuClass, accepted.spec.gpuClass);
  });

  it('says what the API server has against the pods of a class', async () => {
    const { namespace, apply, model, ofClass, get } = await stage(plane);
    await apply(ofClass({ affinity: { nodeAffinity: 'nonsense' } }));
    await apply(model('a'));

    await using _operator = startOperator(plane, namespace);

    const { status } = await reason(() => get('a'), 'Degraded', 'ApplyFailed');
    assert.match(JSON.stringify(status?.conditions), /nodeAffinity/);
  });

  describe('with pods', { skip: !hasKwok || ownAddress === undefined }, () => {
    const seconds = { download: 0, convert: 1.5, load: 0.5 };

    /** What a gateway reports of a pod that has loaded the models. */
    const holding = (namespace: string, pool: string, pod: string, names: string[]) => ({
      pod,
      pool: `${namespace}/${pool}`,
      state: {
        models: names.map((name) => ({
          name: `${namespace}/${name}`,
          residency: 'Loaded' as const,
          inFlight: 0,
          lastUsed: new Date().toISOString(),
          identity,
          weightBytes: 4096,
          seconds,
        })),
        maxModels: 2,
        isDraining: false,
      },
    });

    const demand = (model: string, inFlight: number, lastActivity = new Date()) => ({
      model,
      inFlight,
      held: 0,
      lastActivity: lastActivity.toISOString(),
    });

    /** The claim that the models lie on, bound. */
    const volume = (namespace: string) => [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name: namespace },
        spec: {
          capacity: { storage: '1Gi' },
          accessModes: ['ReadOnlyMany'],
          hostPath: { path: '/tmp' },
          claimRef: { namespace, name: 'models' },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'models', namespace },
        spec: {
          accessModes: ['ReadOnlyMany'],
          storageClassName: '',
          volumeName: namespace,
          resources: { requests: { storage: '1Gi' } },
        },
      },
    ];

    const podOf = (namespace: string) =>
      eventually(async () => {
        const { items } = await plane.client.list(resources.pods, { namespace }, soon());
        const ready = items
          .map((item) => resources.pods.parse(item))
          .find((pod: Pod) =>
            pod.status?.conditions?.some(
              ({ type, status }) => type === 'Ready' && status === 'True',
            ),
          );
        assert.ok(ready?.metadata?.name, 'a pod is ready');
        return ready.metadata.name;
      });

    const summary = ({ status }: ReferenceModel) => [
      status?.replicas,
      status?.loadedOn,
      status?.model?.digest,
      status?.memory?.weights,
      status?.conditions?.find(({ type }) => type === 'Available')?.reason,
    ];

    it('tells the whole life of a model: woken, loaded, evicted, idle, gone', async () => {
      const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
      const key = `${namespace}/a`;
      await apply(ofClass(), ...volume(namespace));
      await apply(model('a', { scaling: { idleTimeout: '2s' } }));
      using gateway = await FakeGateway.start(plane, namespace);
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Loaded', 'NotRequested');

      gateway.report = { ...gateway.report, models: [demand(key, 1)] };
      await wake(plane, namespace, pool);
      const pod = await podOf(namespace);
      gateway.report = { ...gateway.report, pods: [holding(namespace, pool, pod, ['a'])] };
      const loaded = await reason(() => get('a'), 'Loaded', 'Resident');
      gateway.report = { ...gateway.report, pods: [holding(namespace, pool, pod, [])] };
      gateway.report = { ...gateway.report, models: [demand(key, 0)] };
      await reason(() => get('a'), 'Loaded', 'Evicted');
      gateway.report = { ...gateway.report, pods: [] };
      const idle = await reason(() => get('a'), 'Loaded', 'ScaledToZero');

      assert.deepEqual(summary(loaded), [1, [pod], 'd1', 4096, 'Loaded']);
      assert.deepEqual(summary(idle), [0, [], 'd1', 4096, 'OnDemand']);
      assert.equal(loaded.status?.coldStart?.convert, '1.5');
      const events = await eventually(async () => {
        const { items } = await plane.client.list(resources.events, { namespace }, soon());
        const reasons = items
          .map((item) => resources.events.parse(item))
          .filter(({ regarding }) => regarding?.kind === 'ReferenceModel');
        assert.ok(
          reasons.some((event) => event.reason === 'ScaledToZero'),
          'an Event says so',
        );
        return reasons.map((event) => event.reason);
      });
      for (const wanted of ['Loaded', 'Evicted', 'ScaledToZero']) {
        assert.equal(events.filter((found) => found === wanted).length, 1, events.join());
      }
    });

    it('says why a pod cannot start, and that it can once it could', async () => {
      const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
      await apply(ofClass());
      await apply(model('a'));
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');

      await wake(plane, namespace, pool);
      const { status } = await reason(() => get('a'), 'Degraded', 'Unschedulable');
      await apply(...volume(namespace));
      const cured = await reason(() => get('a'), 'Degraded', 'NoFailure');

      assert.match(JSON.stringify(status?.conditions), /persistentvolumeclaim/);
      const available = status?.conditions?.find(({ type }) => type === 'Available');
      assert.equal(available?.reason, 'Unschedulable');
      assert.equal(cured.status?.replicas, 1);
    });

    it('takes a report that is missing for unknown, and keeps the pod', async () => {
      const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
      await apply(ofClass(), ...volume(namespace));
      await apply(model('a', { scaling: { idleTimeout: '0s' } }));
      await using operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');

      await wake(plane, namespace, pool);
      await podOf(namespace);
      const replicas = async () =>
        (await plane.client.get(resources.deployments, { namespace, name: pool }, soon())).spec
          ?.replicas;
      const unknown = await replicas();
      using _gateway = await FakeGateway.start(plane, namespace);
      await eventually(async () => assert.equal(await replicas(), 0));

      assert.equal(unknown, 1);
      assert.ok(operator, 'an operator runs');
    });
  });
});
