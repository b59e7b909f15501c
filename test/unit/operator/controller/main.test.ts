import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '../../../../common/config.ts';
import { silentLogger } from '../../../../common/log.ts';
import { controllerConfig } from '../../../../operator/controller/config.ts';
import { build } from '../../../../operator/controller/main.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { classManifest, modelManifest } from '../../../support/builders.ts';
import { clientOf, until } from '../../../support/kube-kit.ts';
import { KubeServer } from '../../../support/kube-server.ts';

const lease = 'coordination.k8s.io/v1/leases';
const services = 'v1/services';

function operator(server: KubeServer, name: string, env: Record<string, string> = {}) {
  const config = parseConfig(controllerConfig, {
    REFMODEL_NAMESPACE: 'sys',
    REFMODEL_POD_NAME: name,
    REFMODEL_SERVER_IMAGE: 'refmodel:1',
    REFMODEL_LEASE_RETRY_MS: '100',
    ...env,
  });
  const client = clientOf(server);
  const built = build(config, {
    client,
    log: silentLogger,
    metrics: new ControllerMetrics(),
  });
  const stop = new AbortController();
  const ended = built.run(stop.signal).catch((err: unknown) => err);
  return {
    isSynced: () => built.isSynced(),
    async end() {
      stop.abort(new Error('end of test'));
      await ended;
      client.close();
    },
  };
}

const holderOf = (server: KubeServer): unknown =>
  (
    server.get(lease, 'refmodel-operator', 'sys')?.['spec'] as
      | { holderIdentity: string }
      | undefined
  )?.holderIdentity;

describe('the operator', () => {
  it('works once it leads, and gives its Lease back at the end', async () => {
    await using server = await KubeServer.start();
    server.put('refmodel.dev/v1alpha1/gpuclasses', classManifest());
    server.put('refmodel.dev/v1alpha1/referencemodels', modelManifest());

    const a = operator(server, 'a');
    await until(() => server.get(services, 'tiny', 'rl') !== undefined);
    const holder = holderOf(server);
    assert.equal(a.isSynced(), true);
    await a.end();

    assert.equal(holder, 'a');
    assert.equal(holderOf(server), '');
  });

  it('works without a Lease when told to', async () => {
    await using server = await KubeServer.start();
    server.put('refmodel.dev/v1alpha1/referencemodels', modelManifest());

    const a = operator(server, 'a', { REFMODEL_LEADER_ELECTION: 'false' });
    await until(() => server.get(services, 'tiny', 'rl') !== undefined);
    await a.end();

    assert.equal(holderOf(server), undefined);
  });
});
