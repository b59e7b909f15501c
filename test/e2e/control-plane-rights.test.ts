// What a real API server lets the gateway's account write, with the roles and the admission policy of the chart.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { KubeClient } from '../../operator/kube/client.ts';
import { isConflict } from '../../operator/kube/errors.ts';
import { resources } from '../../operator/kube/resources.ts';
import {
  type ControlPlane,
  newName,
  noControlPlane,
  programPath,
  startControlPlane,
} from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { soon } from '../support/stage.ts';

const system = newName('system');
const models = newName('models');

const deployment = (name: string, replicas: number, pool = name) => {
  const labels = { 'refmodel.dev/pool': pool };
  const containers = [{ name: 'server', image: 'refmodel.local/none:1' }];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: models },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  };
};
const lease = (namespace: string, name: string) => ({
  metadata: { namespace, name },
  spec: { holderIdentity: 'x', leaseDurationSeconds: 60 },
});

describe('the account of the gateway', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  let gateway: KubeClient;

  before(async () => {
    plane = await startControlPlane();
    gateway = plane.clientOf(`system:serviceaccount:${system}:refmodel-gateway`);
    const chart = ['template', 'refmodel', 'charts/refmodel', '--namespace', system];
    const { stdout } = await promisify(execFile)(programPath('helm'), [
      ...chart,
      '--show-only',
      'templates/rbac.yaml',
    ]);
    for (const name of [system, models]) await plane.kubectl(['create', 'namespace', name]);
    await plane.kubectl(['apply', '-f', '-'], stdout);
    await put(deployment('rfm-probe', 1));
    await eventually(() => assert.rejects(scale('rfm-probe', 2), isDenied, 'no policy yet'));
  });
  after(async () => {
    gateway.close();
    await plane.kubectl([
      'delete',
      'validatingadmissionpolicy,validatingadmissionpolicybinding',
      '--all',
    ]);
    await plane[Symbol.asyncDispose]();
  });

  const put = (object: object) => plane.kubectl(['apply', '-f', '-'], JSON.stringify(object));

  async function scale(name: string, replicas: number): Promise<void> {
    const ref = { namespace: models, name };
    const { metadata } = await gateway.getScale(resources.deployments, ref, soon());
    const { resourceVersion = '' } = metadata ?? {};
    const wanted = { replicas, resourceVersion, fieldManager: 'refmodel-gateway' };
    try {
      await gateway.setScale(resources.deployments, ref, wanted, soon());
    } catch (err) {
      if (!isConflict(err)) throw err;
      await scale(name, replicas); // a controller wrote its status in between
    }
  }

  const isDenied = (err: unknown) => {
    assert.match(String(err), /ValidatingAdmissionPolicy|forbidden/);
    return true;
  };

  it('raises a pool from zero to one', async () => {
    await put(deployment('rfm-pool-a', 0));

    await scale('rfm-pool-a', 1);

    const { spec } = await plane.client.get(
      resources.deployments,
      { namespace: models, name: 'rfm-pool-a' },
      soon(),
    );
    assert.equal(spec?.replicas, 1);
  });

  const refused = [
    { name: 'from zero to two', of: deployment('rfm-pool-b', 0), to: 2 },
    { name: 'from one to two', of: deployment('rfm-pool-c', 1), to: 2 },
    { name: 'down to zero', of: deployment('rfm-pool-d', 1), to: 0 },
    { name: 'of another name', of: deployment('other', 0), to: 1 },
    { name: 'that is called like a pool and is none', of: deployment('rfm-e', 0, 'mine'), to: 1 },
  ];
  for (const { name, of, to } of refused) {
    it(`is not let to scale a Deployment ${name}`, async () => {
      await put(of);

      await assert.rejects(scale(of.metadata.name, to), isDenied);

      const ref = { namespace: models, name: of.metadata.name };
      const { spec } = await plane.client.get(resources.deployments, ref, soon());
      assert.equal(spec?.replicas, of.spec.replicas);
    });
  }

  it('is not let to change a Deployment in another way, or to see pods and Secrets', async () => {
    const ref = { namespace: models, name: 'rfm-probe' };
    const change = { spec: { template: { spec: { hostNetwork: true } } } };

    await assert.rejects(gateway.patch(resources.deployments, ref, change, soon()), isDenied);
    await assert.rejects(gateway.list(resources.pods, { namespace: models }, soon()), isDenied);
    const secrets = { ...resources.configMaps, kind: 'Secret', plural: 'secrets' };
    await assert.rejects(gateway.list(secrets, { namespace: models }, soon()), isDenied);
  });

  it('writes leases of runs in its own namespace, and no other', async () => {
    const make = (namespace: string, name: string) =>
      gateway.create(resources.leases, lease(namespace, name), soon());

    await make(system, 'refmodel-run-1');

    await assert.rejects(make(system, 'refmodel-operator'), isDenied);
    await assert.rejects(make(models, 'refmodel-run-1'), isDenied);
  });
});
