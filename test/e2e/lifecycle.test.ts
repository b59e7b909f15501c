// The life of an installation on a real cluster: upgraded under load, without an operator, deleted in any order, uninstalled.
// Needs what failure.test.ts needs. The last of the end-to-end tests: it leaves nothing installed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { apply, command, get, kubectl, namespace } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import {
  ask,
  classManifest,
  figures,
  load,
  manifest,
  poolPods,
  reason,
  report,
  scaleOperator,
  settled,
  skip,
  system,
} from '../support/serving.ts';

/** Folder of the chart, and image, of the commit before this one. */
const [previousChart, previousImage] = (process.env['REFMODEL_E2E_PREVIOUS'] ?? '').split(' ');
const image = process.env['REFMODEL_E2E_IMAGE'] ?? 'refmodel.local/refmodel:e2e';

async function upgrade(chart: string, name: string): Promise<void> {
  const [repository, tag] = name.split(':');
  const release = ['upgrade', '--install', 'refmodel', chart, '--namespace', system];
  const values = ['--set', `image.repository=${repository},image.tag=${tag}`];
  await command('helm', [...release, ...values, '--wait', '--timeout', '170s']);
}

const imageOf = async (pool: string) =>
  (await poolPods(pool)).map(({ spec }) => (spec['containers'] as { image: string }[])[0]?.image);

describe('the life of an installation', { skip }, () => {
  before(async () => {
    await apply(classManifest('e2e-a'));
    await apply(manifest('steady', { gpuClass: 'e2e-a' }));
    await reason('steady', 'Accepted', 'Valid');
  });
  after(() => {
    for (const line of figures) console.log(line);
  });

  it('loses no request while the chart is upgraded from the commit before', {
    skip: previousImage === undefined && 'the commit before is not here',
  }, async () => {
    await upgrade(previousChart ?? '', previousImage ?? '');
    assert.equal(await ask('steady'), 200);
    const pool = 'rfm-pool-e2e-a';
    await eventually(async () => assert.deepEqual(await imageOf(pool), [previousImage]), 120_000);
    await using running = load('steady');
    await sleep(1000);

    await upgrade('charts/refmodel', image);
    await settled();
    await eventually(async () => assert.deepEqual(await imageOf(pool), [image]), 120_000);
    await sleep(1000);

    const result = await running.stop();
    report('upgraded from the commit before', result);
    assert.deepEqual(result.lost, []);
  });

  it('wakes a model while no operator runs', async () => {
    await apply(manifest('alone', { gpuClass: 'e2e-a', placement: 'Dedicated' }));
    await reason('alone', 'Available', 'OnDemand');
    await scaleOperator(0);
    try {
      assert.equal(await ask('alone'), 200);
    } finally {
      await scaleOperator(2);
      await settled();
    }
  });

  it('deletes models, classes and namespaces in any order, with the operator up or down', async () => {
    const name = 'e2e-gone';
    await kubectl(['create', 'namespace', name]);
    const gone = {
      ...manifest('gone', { gpuClass: 'e2e-a' }),
      metadata: { name: 'gone', namespace: name },
    };
    await apply(gone);
    await eventually(async () => {
      assert.equal((await get('deployments', name)).length, 1, 'no pool yet');
    });
    await kubectl(['delete', 'gpuclass', 'e2e-a', '--timeout=30s']);
    await scaleOperator(0);
    try {
      await kubectl(['delete', 'namespace', name, '--timeout=60s']);
      await kubectl(['delete', 'rfm', 'steady', '-n', namespace, '--timeout=30s']);
    } finally {
      await scaleOperator(2);
    }
    await settled();

    await eventually(async () => {
      const left = await get('deployments', namespace, 'refmodel.dev/pool=rfm-pool-e2e-a');
      assert.deepEqual(
        left.map(({ metadata }) => metadata.name),
        [],
      );
    }, 60_000);
  });

  it('gets nothing stuck when it was uninstalled before its models and classes are deleted', async () => {
    const name = 'e2e-left';
    await kubectl(['create', 'namespace', name]);
    await apply(classManifest('e2e-left'));
    await apply(
      { ...manifest('a', { gpuClass: 'e2e-left' }), metadata: { name: 'a', namespace: name } },
      manifest('left', { gpuClass: 'e2e-left' }),
    );
    await eventually(async () => {
      assert.equal((await get('deployments', name)).length, 1, 'no pool yet');
    });
    assert.equal(await ask('left'), 200);

    await command('helm', ['uninstall', 'refmodel', '--namespace', system, '--wait']);
    await kubectl(['delete', 'rfm', '--all', '-n', namespace, '--timeout=30s']);
    await kubectl(['delete', 'gpuclass', '--all', '--timeout=30s']);
    await kubectl(['delete', 'namespace', name, '--timeout=60s']);

    await eventually(async () => {
      const kinds = 'deployments,pods,services,configmaps,serviceaccounts';
      const left = await get(kinds, namespace, 'app.kubernetes.io/managed-by=refmodel');
      assert.deepEqual(
        left.map(({ metadata }) => metadata.name),
        [],
      );
    }, 120_000);
  });
});
