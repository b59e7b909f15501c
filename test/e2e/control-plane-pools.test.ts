// The objects that the operator makes and removes, against a real API server, its controllers and garbage collector.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { resources } from '../../operator/kube/resources.ts';
import { classManifest } from '../support/builders.ts';
import {
  type ControlPlane,
  fakeNode,
  hasKwok,
  missing,
  newName,
  noControlPlane,
  startControlPlane,
  startOperator,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { atRest, reason, soon, stage, wake } from '../support/stage.ts';

if (noControlPlane) console.log(`skipped: ${noControlPlane}`);

describe('the operator on a real API server', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    if (hasKwok) await plane.kubectl(['apply', '-f', '-'], JSON.stringify(fakeNode('fake')));
  });
  after(() => plane[Symbol.asyncDispose]());

  it('makes everything of a pool, and writes nothing when nothing has changed', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
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
      await atRest(plane, namespace, pool);
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
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
    await apply(ofClass());
    await apply(model('a'));
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      await atRest(plane, namespace, pool);
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
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
    await apply(ofClass());
    await apply(model('a'));
    await using _operator = startOperator(plane, namespace);
    await reason(() => get('a'), 'Available', 'OnDemand');
    const ref = { namespace, name: pool };
    await wake(plane, namespace, pool);
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
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
    await apply(ofClass());
    await apply(model('a'));
    const ref = { namespace, name: pool };
    {
      await using _operator = startOperator(plane, namespace);
      await reason(() => get('a'), 'Available', 'OnDemand');
      await atRest(plane, namespace, pool);
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
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
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

  it('leaves nothing behind when the last model goes, also while it was not there to see', async () => {
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
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
    const { namespace, pool, apply, model, ofClass, get } = await stage(plane);
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
});
