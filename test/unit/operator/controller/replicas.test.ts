import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Applier } from '../../../../operator/controller/apply.ts';
import { ControllerMetrics } from '../../../../operator/controller/metrics.ts';
import { handOverReplicas } from '../../../../operator/controller/replicas.ts';
import { resources } from '../../../../operator/kube/resources.ts';
import { deployment } from '../../../support/facts.ts';
import { never, operatorKit } from '../../../support/operator-kit.ts';

const field = { 'f:spec': { 'f:replicas': {} } };
const owned = (...managers: string[]) => {
  const managedFields = [
    ...managers.map((manager) => ({ manager, fieldsV1: field })),
    { manager: 'kubelet', fieldsV1: { 'f:status': {} } },
  ];
  const live = deployment(3);
  return { ...live, metadata: { ...live.metadata, managedFields } };
};

describe('handOverReplicas', () => {
  const table = [
    { name: 'the operator owns them alone', managers: ['refmodel-operator'], want: 1 },
    {
      name: 'the scaler owns them too',
      managers: ['refmodel-operator', 'refmodel-scaler'],
      want: 0,
    },
    { name: 'a gateway took them over', managers: ['refmodel-gateway'], want: 0 },
    { name: 'nobody owns them', managers: [], want: 0 },
  ];
  for (const { name, managers, want } of table) {
    it(`writes ${want} times when ${name}`, async () => {
      await using t = await operatorKit();
      const live = owned(...managers);
      t.server.put('apps/v1/deployments', live);
      const stored = t.server.get('apps/v1/deployments', 'rfm-pool-cpu', 'rl');
      const kind = { resource: resources.deployments, cache: t.world.deployments };
      const applier = new Applier(t.client, new ControllerMetrics());

      const after = await handOverReplicas(applier, kind, { ...live, ...stored }, never);

      assert.deepEqual(
        t.writes().map(({ query }) => [query.get('fieldManager'), query.get('force')]),
        Array.from({ length: want }, () => ['refmodel-scaler', 'false']),
      );
      assert.equal(after.spec?.replicas, 3);
    });
  }
});
