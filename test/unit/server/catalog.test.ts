import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../common/log.ts';
import { Catalog } from '../../../server/catalog.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { catalogModel } from '../../support/server-kit.ts';

const text = (...names: string[]) =>
  JSON.stringify({ models: names.map((name) => catalogModel(name)) });
const namesOf = (catalog: Catalog) => catalog.models.map((model) => model.name);

async function world() {
  const folder = await mkdtemp(join(tmpdir(), 'refmodel-catalog-'));
  const path = join(folder, 'catalog.json');
  const clock = new FakeClock();
  return {
    folder,
    path,
    clock,
    catalog: new Catalog({ path, clock, log: silentLogger }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** As the kubelet does: the files lie behind a link that is swapped. */
async function mountConfigMap(folder: string, version: string, content: string): Promise<void> {
  await mkdir(join(folder, version));
  await writeFile(join(folder, version, 'catalog.json'), content);
  await symlink(version, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
}

describe('Catalog', () => {
  it('is unread until its file is there, then has its models', async () => {
    await using at = await world();
    await at.catalog.refresh();
    assert.ok(!at.catalog.isRead);

    await writeFile(at.path, text('rl/a'));
    await at.catalog.refresh();

    assert.ok(at.catalog.isRead);
    assert.equal(at.catalog.find('rl/a')?.quantization, 'None');
    assert.equal(at.catalog.find('rl/b'), undefined);
  });

  it('sees a file that was replaced by rename', async () => {
    await using at = await world();
    await writeFile(at.path, text('rl/a'));
    await at.catalog.refresh();

    await writeFile(`${at.path}.new`, text('rl/b'));
    await rename(`${at.path}.new`, at.path);
    await at.catalog.refresh();

    assert.deepEqual(namesOf(at.catalog), ['rl/b']);
  });

  it('sees the swapped link of a mounted ConfigMap', async () => {
    await using at = await world();
    await mountConfigMap(at.folder, '..1', text('rl/a'));
    await symlink('..data/catalog.json', at.path);
    await at.catalog.refresh();
    assert.deepEqual(namesOf(at.catalog), ['rl/a']);

    await mountConfigMap(at.folder, '..2', text('rl/a', 'rl/b'));
    await at.catalog.refresh();

    assert.deepEqual(namesOf(at.catalog), ['rl/a', 'rl/b']);
  });

  for (const [name, content] of [
    ['half-written', text('rl/b').slice(0, 40)],
    ['empty', ''],
    ['of another shape', '{"models":[{"name":"no-namespace"}]}'],
  ] as const) {
    it(`keeps the last good one while the file is ${name}, then reads it again`, async () => {
      await using at = await world();
      await writeFile(at.path, text('rl/a'));
      await at.catalog.refresh();

      await writeFile(at.path, content);
      await at.catalog.refresh();
      assert.deepEqual(namesOf(at.catalog), ['rl/a']);
      await writeFile(at.path, text('rl/c'));
      await at.catalog.refresh();

      assert.deepEqual(namesOf(at.catalog), ['rl/c']);
    });
  }

  it('keeps the last good one when the file goes away', async () => {
    await using at = await world();
    await writeFile(at.path, text('rl/a'));
    await at.catalog.refresh();

    await rm(at.path);
    await at.catalog.refresh();

    assert.deepEqual(namesOf(at.catalog), ['rl/a']);
  });

  it('does not read a file again that did not change', async () => {
    await using at = await world();
    await writeFile(at.path, text('rl/a'));
    await at.catalog.refresh();
    const { models } = at.catalog;

    await at.catalog.refresh();

    assert.equal(at.catalog.models, models);
  });

  it('gives a model to those who wait once a followed file has it', async () => {
    await using at = await world();
    await writeFile(at.path, text('rl/a'));
    const ending = new AbortController();
    const following = at.catalog.run(ending.signal);
    const waiting = at.catalog.waitFor('rl/b', ending.signal);

    await writeFile(at.path, text('rl/a', 'rl/b'));
    while (!at.catalog.find('rl/b')) await at.clock.step(250);

    assert.equal((await waiting).name, 'rl/b');
    ending.abort(new Error('enough'));
    await following;
    assert.equal(at.clock.pending, 0);
  });

  it('ends a wait with its signal', async () => {
    await using at = await world();
    const client = new AbortController();
    const gone = new Error('gone');

    const waiting = assert.rejects(at.catalog.waitFor('rl/a', client.signal), gone);
    await settle();
    client.abort(gone);

    await waiting;
  });
});
