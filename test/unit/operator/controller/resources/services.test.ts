import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  modelService,
  poolService,
} from '../../../../../operator/controller/resources/services.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

describe('poolService', () => {
  it('has no address of its own and carries the label of the pool, for its EndpointSlices', () => {
    const place = { namespace: 'rl', pool: 'p', leased: new Set<string>() };
    const plan = { ...place, models: [referenceModel()], gpuClass: gpuClass() };

    const { metadata, spec } = poolService(plan);

    assert.equal(spec?.clusterIP, 'None');
    assert.equal(metadata?.labels?.['refmodel.dev/pool'], 'p');
    assert.deepEqual(spec?.selector, {
      'refmodel.dev/pool': 'p',
      'refmodel.dev/traffic': 'open',
    });
  });
});

describe('modelService', () => {
  it('leads the name of the model to the gateways, and goes with the model', () => {
    const { metadata, spec } = modelService(referenceModel(), 'gw.sys.svc.cluster.local');

    assert.equal(metadata?.name, 'tiny');
    assert.deepEqual(spec, { type: 'ExternalName', externalName: 'gw.sys.svc.cluster.local' });
    assert.deepEqual(
      metadata?.ownerReferences?.map(({ uid }) => uid),
      ['uid-tiny'],
    );
  });
});
