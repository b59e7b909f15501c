import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import {
  claimPartial,
  partialBytes,
  releasePartial,
  removePartials,
} from '../../../../../server/model/hub/partial.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const etag = 'a'.repeat(64);

/** The name that a process of this host, which has ended since, gave its part. */
async function nameOfEnded(folder: string, replace: Record<string, string> = {}): Promise<string> {
  const own = path.basename(await claimPartial(folder, etag));
  const { pid } = spawnSync('true');
  const [, host, , start] = /\.([0-9a-f]+)-(\d+)-(\d+)-/.exec(own) ?? [];
  const parts = { host, pid: String(pid), start, ...replace };
  return own.replace(/\.[0-9a-f]+-\d+-\d+-/, `.${parts.host}-${parts.pid}-${parts.start}-`);
}

describe('claimPartial', () => {
  it('begins a file of its own', async () => {
    using folder = temporaryFolder();

    const [a, b] = [await claimPartial(folder.path, etag), await claimPartial(folder.path, etag)];

    assert.notEqual(a, b);
    assert.equal(readFileSync(a, 'utf8'), '');
  });

  it('takes the longest that was left, once', async () => {
    using folder = temporaryFolder();
    const left = await nameOfEnded(folder.path);
    writeFileSync(path.join(folder.path, `${etag}.incomplete`), 'short');
    writeFileSync(path.join(folder.path, left), 'the longest');
    writeFileSync(path.join(folder.path, `${'b'.repeat(64)}.incomplete`), 'of something else');

    const both = await Promise.all([1, 2].map(() => claimPartial(folder.path, etag)));

    const found = both.map((file) => readFileSync(file, 'utf8')).sort();
    assert.deepEqual(found, ['short', 'the longest']);
  });

  it('leaves what another process works on', async () => {
    using folder = temporaryFolder();
    writeFileSync(await claimPartial(folder.path, etag), 'at work');

    const own = await claimPartial(folder.path, etag);

    assert.equal(readFileSync(own, 'utf8'), '');
  });

  it('leaves what a process of another host may work on, until it is old', async () => {
    using folder = temporaryFolder();
    const theirs = path.join(folder.path, await nameOfEnded(folder.path, { host: 'f'.repeat(12) }));
    writeFileSync(theirs, 'theirs');
    const early = await claimPartial(folder.path, etag);
    utimesSync(theirs, 0, 0);

    const late = await claimPartial(folder.path, etag);

    assert.equal(readFileSync(early, 'utf8'), '');
    assert.equal(readFileSync(late, 'utf8'), 'theirs');
  });

  it('is not misled by an id that was given to another process', async () => {
    using folder = temporaryFolder();
    const pid = String(process.pid);
    const before = path.join(folder.path, await nameOfEnded(folder.path, { pid, start: '1' }));
    writeFileSync(before, 'of the process before');

    const own = await claimPartial(folder.path, etag);

    assert.equal(readFileSync(own, 'utf8'), 'of the process before');
  });
});

describe('releasePartial', () => {
  it('leaves the file to the next', async () => {
    using folder = temporaryFolder();
    const own = await claimPartial(folder.path, etag);
    writeFileSync(own, 'half');

    await releasePartial(own, etag);

    assert.deepEqual(readdirSync(folder.path), [`${etag}.incomplete`]);
    assert.equal(readFileSync(await claimPartial(folder.path, etag), 'utf8'), 'half');
  });

  it('does not mind when the file is gone', async () => {
    using folder = temporaryFolder();
    const own = await claimPartial(folder.path, etag);
    renameSync(own, path.join(folder.path, etag));

    await releasePartial(own, etag);
  });
});

describe('removePartials', () => {
  it('removes what nobody works on', async () => {
    using folder = temporaryFolder();
    const own = await claimPartial(folder.path, etag);
    writeFileSync(path.join(folder.path, `${etag}.incomplete`), '');

    await removePartials(folder.path, etag);

    assert.deepEqual(readdirSync(folder.path), [path.basename(own)]);
  });
});

describe('partialBytes', () => {
  it('sums all parts', async () => {
    using folder = temporaryFolder();
    writeFileSync(path.join(folder.path, `${etag}.incomplete`), 'abc');
    writeFileSync(path.join(folder.path, `${'b'.repeat(40)}.incomplete`), 'de');
    writeFileSync(path.join(folder.path, etag), 'whole');

    assert.equal(await partialBytes(folder.path), 5);
  });
});
