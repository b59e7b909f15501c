// The operator against a real API server, its controllers and its garbage collector. Pods are played by kwok.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { type Pod, resources } from '../../operator/kube/resources.ts';
import { classManifest, modelManifest } from '../support/builders.ts';
import {
  type ControlPlane,
  FakeGateway,
  fakeNode,
  hasKwok,
  missing,
  newName,
  noControlPlane,
  ownAddress,
  startControlPlane,
  startOperator,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';

if (noControlPlane) console.log(`skipped: ${noControlPlane}`);

const soon = () => AbortSignal.timeout(10_000);

describe('the operator on a real API server', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    if (hasKwok) await plane.kubectl(['apply', '-f', '-'], JSON.stringify(fakeNode('fake')));
  });
  after(() => plane[Symbol.asyncDispose]());

  /** A namespace and a class of its own for each test, so that tests do not see one another. */
  async function stage() {
    const namespace = newName('ns');
    const gpuClass = newName('c');
    await plane.kubectl(['create', 'namespace', namespace]);
    const apply = (...objects: object[]) =>
      plane.kubectl(
        ['apply', '-f', '-'],
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      );
    const model = (name: string, spec: object = {}) => {
      const { metadata: _, ...rest } = modelManifest({ spec: { gpuClass, ...spec } });
      return { ...rest, metadata: { name, namespace } };
    };
    const ofClass = (spec: object = {}) => classManifest({ metadata: { name: gpuClass }, spec });
    const get = (name: string): Promise<ReferenceModel> =>
      plane.client.get(resources.referenceModels, { namespace, name }, soon());
    return { namespace, gpuClass, pool: `rfm-pool-${gpuClass}`, apply, model, ofClass, get };
  }

  /** Waits until a condition of a model has the reason; then the model. */
  const reason = (get: () => Promise<ReferenceModel>, type: string, wanted: string) =>
    eventually(async () => {
      const model = await get();
      const found = model.status?.conditions?.find((condition) => condition.type === type);
      assert.equal(found?.reason, wanted, JSON.stringify(model.status));
      return model;
    });

  /** Waits until the operator has nothing more to write for a pool: the hash comes last, after the hand-over. */
  const atRest = (namespace: string, pool: string) =>
    eventually(async () => {
      const ref = { namespace, name: pool };
      const { metadata } = await plane.client.get(resources.deployments, ref, soon());
      assert.ok(metadata?.annotations?.['refmodel.dev/applied'], 'no hash yet');
    });

  /** Zero to one, as a gateway does it. */
  const wake = (namespace: string, pool: string) =>
    eventually(async () => {
      const ref = { namespace, name: pool };
      const { metadata } = await plane.client.get(resources.deployments, ref, soon());
      const scale = { replicas: 1, resourceVersion: metadata?.resourceVersion ?? '' };
      await plane.client.setScale(resources.deployments, ref, scale, soon());
    });

  it('makes everything of a pool, and writes nothing when nothing has changed', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    const resourcesOfPod = {
      requests: { cpu: '0.5', memory: '1024Mi' },
      limits: { memory: '1.1Gi' },
    };
    await apply(
      ofClass({ resources: resourcesOfPod, tolerations: [{ operator: 'Exists', value: '' }] }),
    );
    await apply(model('b'), model('a', { scaling: { minReplicas: 0, maxReplicas: 2 } }));
    {
      await using operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      const b = await reason(() => get('b'), 'Available', 'OnDemand');
      await atRest(namespace, pool);
      await plane.kubectl(['annotate', 'rfm', '-n', namespace, 'a', 'touched=1']);
      await plane.kubectl(['label', 'deployment', '-n', namespace, pool, 'touched=1']);

      const { url, source, conditions = [] } = b.status ?? {};
      assert.equal(url, `http://b.${namespace}.svc`);
      assert.equal(source, 'models/tiny');
      assert.equal(conditions.find(({ type }) => type === 'Accepted')?.status, 'True');
      assert.equal((await operator.writes())['Event create'], undefined);
    }

    const ref = { namespace, name: pool };
    const deployment = await plane.client.get(resources.deployments, ref, soon());
    const service = await plane.client.get(resources.services, { namespace, name: 'a' }, soon());
    const catalog = { namespace, name: `${pool}-catalog` };
    const { data } = await plane.client.get(resources.configMaps, catalog, soon());
    assert.deepEqual(deployment.metadata?.ownerReferences?.map(({ name }) => name).sort(), [
      'a',
      'b',
    ]);
    assert.equal(deployment.spec?.replicas, 0);
    assert.match(String(service.spec?.externalName), /^refmodel-gateway\./);
    assert.match(String(data?.['catalog.json']), /"\/volumes\/models"/);

    await using again = startOperator(plane, namespace);
    await apply(model('last'));
    await reason(() => get('last'), 'Available', 'OnDemand');
    await eventually(async () => {
      const { metadata } = await plane.client.get(resources.deployments, ref, soon());
      assert.equal(metadata?.ownerReferences?.length, 3);
    });
    const writes = await again.writes();
    // All that the new model needs and nothing for the others: its Service, its place in the pool, its status.
    assert.equal(writes['Service apply'], 2);
    assert.equal(writes['ConfigMap apply'], 1);
    assert.equal(writes['Deployment apply'], 1);
  });

  it('writes nothing at all when it starts and everything is as it should be', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    await apply(ofClass());
    await apply(model('a'));
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      await atRest(namespace, pool);
    }
    const before = await get('a');

    await using operator = startOperator(plane, namespace);
    // A model that is refused, made after the start: when it has its status, the first one was looked at too.
    await apply(model('z', { task: 'Reward', fidelity: { maxKL: '0.01' } }));
    await reason(() => get('z'), 'Accepted', 'UnsupportedFidelity');

    assert.deepEqual(await get('a'), before);
    const {
      'Service apply': services,
      'ReferenceModel patch': patches,
      ...rest
    } = await operator.writes();
    assert.deepEqual({ services, patches }, { services: 1, patches: 1 });
    assert.deepEqual(rest, { 'Event create': 1 });
  });

  it('leaves the replicas alone once the Deployment is made', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    await apply(ofClass());
    await apply(model('a'));
    await using _operator = startOperator(plane, namespace);
    await reason(() => get('a'), 'Available', 'OnDemand');
    const ref = { namespace, name: pool };
    await wake(namespace, pool);
    await apply(ofClass({ maxModels: 5 }));
    const deployment = await eventually(async () => {
      const found = await plane.client.get(resources.deployments, ref, soon());
      const env = found.spec?.template.spec?.containers[0]?.env;
      assert.equal(env?.find(({ name }) => name === 'REFMODEL_MAX_MODELS')?.value, '5');
      return found;
    });

    assert.equal(deployment.spec?.replicas, 1);
  });

  it('finishes a hand-over of the replicas that was cut short', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    await apply(ofClass());
    await apply(model('a'));
    const ref = { namespace, name: pool };
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      await atRest(namespace, pool);
    }
    // As if the operator had died between making the Deployment and handing its replicas over.
    const own = (manager: string, replicas: number) => ({
      metadata: { name: pool, namespace },
      spec: { replicas },
      options: { fieldManager: manager, force: true, signal: soon() },
    });
    const { options, ...claim } = own('refmodel-operator', 1);
    const made = await plane.client.get(resources.deployments, ref, soon());
    const { managedFields: _, resourceVersion: __, uid: ___, ...metadata } = made.metadata ?? {};
    await plane.client.apply(
      resources.deployments,
      { metadata, spec: { ...made.spec, ...claim.spec } } as never,
      options,
    );
    await plane.client.apply(
      resources.deployments,
      { metadata: claim.metadata },
      own('refmodel-scaler', 1).options,
    );

    await using _operator = startOperator(plane, namespace);
    const deployment = await eventually(async () => {
      const found = await plane.client.get(resources.deployments, ref, soon());
      const owners = (found.metadata?.managedFields ?? [])
        .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes('f:replicas'))
        .map(({ manager }) => manager);
      assert.ok(owners.includes('refmodel-scaler'), owners.join());
      return found;
    });

    assert.equal(deployment.spec?.replicas, 1);
  });

  it('never touches an object of its names that is not its own', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a', namespace, labels: { 'app.kubernetes.io/managed-by': 'refmodel' } },
      spec: { type: 'ExternalName', externalName: 'example.org' },
    };
    const account = {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: pool, namespace },
    };
    await apply(ofClass(), service, account);
    await apply(model('a'), model('b'));

    await using _operator = startOperator(plane, namespace);
    await reason(() => get('a'), 'Accepted', 'NameTaken');
    await reason(() => get('b'), 'Accepted', 'NameTaken');
    const found = await plane.client.get(resources.services, { namespace, name: 'a' }, soon());
    assert.equal(found.spec?.externalName, 'example.org');
    assert.ok(
      await missing(plane.client, resources.deployments, { namespace, name: pool }),
      'no Deployment',
    );

    await plane.kubectl(['delete', '-n', namespace, `service/a`, `serviceaccount/${pool}`]);
    await reason(() => get('a'), 'Accepted', 'Valid');
    await reason(() => get('b'), 'Available', 'OnDemand');
  });

  it('waits for a class that is missing', async () => {
    const { namespace, apply, model, ofClass, get } = await stage();
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
    const { namespace, apply, model, ofClass, get } = await stage();
    await apply(ofClass({ affinity: { nodeAffinity: 'nonsense' } }));
    await apply(model('a'));

    await using _operator = startOperator(plane, namespace);

    const { status } = await reason(() => get('a'), 'Degraded', 'ApplyFailed');
    assert.match(JSON.stringify(status?.conditions), /nodeAffinity/);
  });

  it('leaves nothing behind when the last model goes, also while it was not there to see', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    await apply(ofClass());
    await apply(model('a'), model('b'));
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      await reason(() => get('b'), 'Available', 'OnDemand');
      await plane.kubectl(['delete', 'rfm', '-n', namespace, 'a']);
      await eventually(async () => {
        const { metadata } = await plane.client.get(
          resources.deployments,
          { namespace, name: pool },
          soon(),
        );
        assert.deepEqual(
          metadata?.ownerReferences?.map(({ name }) => name),
          ['b'],
        );
      });
    }
    await plane.kubectl(['delete', 'rfm', '-n', namespace, 'b']);

    await eventually(async () => {
      const kinds = 'deployments,services,configmaps,serviceaccounts,networkpolicies';
      const left = await plane.kubectl(['get', kinds, '-n', namespace, '-o', 'name']);
      assert.deepEqual(left.trim().split('\n').sort(), [
        'configmap/kube-root-ca.crt',
        'serviceaccount/default',
      ]);
    }, 90_000); // the garbage collector takes its time
  });

  it('clears a pool away that lost its models to another class while nobody looked', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage();
    const other = newName('c');
    await apply(ofClass(), classManifest({ metadata: { name: other } }));
    await apply(model('a'));
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
    }
    await apply(model('a', { gpuClass: other }));

    await using _operator = startOperator(plane, namespace);

    await eventually(async () => {
      assert.ok(
        await missing(plane.client, resources.deployments, { namespace, name: pool }),
        'no Deployment',
      );
      assert.ok(
        await missing(plane.client, resources.services, { namespace, name: pool }),
        'no Service',
      );
    });
    const moved = { namespace, name: `rfm-pool-${other}` };
    await eventually(() => plane.client.get(resources.deployments, moved, soon()));
  });

  describe('with pods', { skip: !hasKwok || ownAddress === undefined }, () => {
    const seconds = { download: 0, convert: 1.5, load: 0.5 };
    const identity = {
      revision: 'r1',
      digest: 'd1',
      architecture: 'LlamaForCausalLM',
      quantization: 'Int8',
      task: 'LogProbs' as const,
      parameters: 1000,
      contextTokens: 512,
    };

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
      const { namespace, pool, apply, model, ofClass, get } = await stage();
      const key = `${namespace}/a`;
      await apply(ofClass(), ...volume(namespace));
      await apply(model('a', { scaling: { idleTimeout: '2s' } }));
      using gateway = await FakeGateway.start(plane, namespace);
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Loaded', 'NotRequested');

      gateway.report = { ...gateway.report, models: [demand(key, 1)] };
      await wake(namespace, pool);
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
      const { namespace, pool, apply, model, ofClass, get } = await stage();
      await apply(ofClass());
      await apply(model('a'));
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');

      await wake(namespace, pool);
      const { status } = await reason(() => get('a'), 'Degraded', 'Unschedulable');
      await apply(...volume(namespace));
      const cured = await reason(() => get('a'), 'Degraded', 'NoFailure');

      assert.match(JSON.stringify(status?.conditions), /persistentvolumeclaim/);
      const available = status?.conditions?.find(({ type }) => type === 'Available');
      assert.equal(available?.reason, 'Unschedulable');
      assert.equal(cured.status?.replicas, 1);
    });

    it('takes a report that is missing for unknown, and keeps the pod', async () => {
      const { namespace, pool, apply, model, ofClass, get } = await stage();
      await apply(ofClass(), ...volume(namespace));
      await apply(model('a', { scaling: { idleTimeout: '0s' } }));
      await using operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');

      await wake(namespace, pool);
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
