import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  catalogConfigMap,
  catalogFile,
  serviceAccount,
} from '../../../../../operator/controller/resources/catalog.ts';
import { catalog } from '../../../../../server/contract.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

const model = (name: string) => referenceModel({ metadata: { name } });
const plan = (...names: string[]) => ({
  namespace: 'rl',
  pool: 'p',
  models: names.map(model),
  gpuClass: gpuClass(),
  leased: new Set<string>(),
});

describe('catalogConfigMap', () => {
  it('is what a server reads, with the claims where they are mounted', () => {
    const { data } = catalogConfigMap(plan('a'));

    const { models } = catalog.parse(JSON.parse(data?.[catalogFile] ?? ''));
    assert.equal(models[0]?.name, 'rl/a');
    assert.deepEqual(models[0].source.volume, { root: '/volumes/models', path: 'tiny' });
  });

  it('has what a run wants warm loaded before it is asked for', () => {
    const { data } = catalogConfigMap({ ...plan('a', 'b'), leased: new Set(['rl/b']) });

    const { models } = catalog.parse(JSON.parse(data?.[catalogFile] ?? ''));
    assert.deepEqual(
      models.map(({ preload }) => preload),
      [false, true],
    );
  });

  it('is the same for the same models in any order', () => {
    assert.deepEqual(catalogConfigMap(plan('a', 'b')), catalogConfigMap(plan('b', 'a')));
  });
});

describe('serviceAccount', () => {
  it('mounts its token nowhere', () => {
    assert.equal(serviceAccount(plan('a')).automountServiceAccountToken, false);
  });
});
