import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { RepoFolder } from '../../../../../server/model/hub/folder.ts';
import { neverAborted } from '../../../../support/hub-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const commit = 'c'.repeat(40);
const file = { name: 'config.json', size: 2, etag: 'e'.repeat(40) };

function withBlob(cache: string): RepoFolder {
  const folder = new RepoFolder(cache, 'a/b');
  mkdirSync(folder.blobs, { recursive: true });
  writeFileSync(path.join(folder.blobs, file.etag), '{}');
  return folder;
}

describe('RepoFolder', () => {
  it("lies where Hugging Face's own clients look", () => {
    const { root } = new RepoFolder('/cache', 'meta-llama/Llama-3.1-8B');

    assert.equal(root, '/cache/hub/models--meta-llama--Llama-3.1-8B');
  });

  it('shows a content under a relative link, again and again', async () => {
    using cache = temporaryFolder();
    const folder = withBlob(cache.path);

    await folder.link(commit, file);
    await folder.link(commit, file);

    const link = folder.file(commit, file.name);
    assert.equal(readlinkSync(link), `../../blobs/${file.etag}`);
    assert.equal(realpathSync(link), path.join(folder.blobs, file.etag));
    assert.equal(await folder.has(commit, file), true);
  });

  it('does not have a file of another size, or one whose content is gone', async () => {
    using cache = temporaryFolder();
    const folder = withBlob(cache.path);
    await folder.link(commit, file);
    await folder.link(commit, { ...file, name: 'lost', etag: 'f'.repeat(40) });

    assert.equal(await folder.has(commit, { ...file, size: 3 }), false);
    assert.equal(await folder.has(commit, { ...file, name: 'lost' }), false);
  });

  it('remembers what a revision was resolved to', async () => {
    using cache = temporaryFolder();
    const folder = new RepoFolder(cache.path, 'a/b');

    await folder.writeRef('refs/pr/1', commit, neverAborted);

    assert.equal(await folder.readRef('refs/pr/1'), commit);
    assert.equal(await folder.readRef('refs/pr'), undefined);
    assert.equal(await folder.readRef('main'), undefined);
  });

  it('does not believe a reference that is no commit', async () => {
    using cache = temporaryFolder();
    const folder = new RepoFolder(cache.path, 'a/b');
    await folder.writeRef('main', '../../x', neverAborted);

    assert.equal(await folder.readRef('main'), undefined);
  });

  it('keeps a list of files, and takes a broken one for none', async () => {
    using cache = temporaryFolder();
    const folder = new RepoFolder(cache.path, 'a/b');
    await folder.writeListing({ commit, files: [file] }, neverAborted);
    const kept = await folder.readListing(commit);
    for (const text of ['{"files": [', '{"files": [{"name": "../x", "size": 1}]}']) {
      writeFileSync(path.join(folder.root, 'listings', `${commit}.json`), text);

      assert.equal(await folder.readListing(commit), undefined);
    }

    assert.deepEqual(kept, { commit, files: [file] });
    assert.equal(await folder.readListing('d'.repeat(40)), undefined);
  });

  it('lists what another client left, and passes over what is no link to a content', async () => {
    using cache = temporaryFolder();
    const folder = withBlob(cache.path);
    await folder.link(commit, file);
    writeFileSync(folder.file(commit, 'plain.json'), '');
    symlinkSync('../../blobs/gone', folder.file(commit, 'gone.json'));
    symlinkSync('/etc/hostname', folder.file(commit, 'elsewhere.json'));

    assert.deepEqual(await folder.listSnapshot(commit), { commit, files: [file] });
    assert.equal(await folder.listSnapshot('d'.repeat(40)), undefined);
  });
});
