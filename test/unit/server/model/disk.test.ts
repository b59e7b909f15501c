import assert from 'node:assert/strict';
import { readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { asDiskError, makeFolder, writeAtomically } from '../../../../server/model/disk.ts';
import { neverAborted } from '../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const full = (code: string) => Object.assign(new Error(code), { code });

describe('writeAtomically', () => {
  it('creates folders and replaces what is there', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a/b');
    await writeAtomically(file, (handle) => handle.writeFile('old'), neverAborted);

    await writeAtomically(file, (handle) => handle.writeFile('new'), neverAborted);

    assert.equal(readFileSync(file, 'utf8'), 'new');
    assert.deepEqual(readdirSync(path.dirname(file)), ['b']);
  });

  it('leaves the old file and nothing else when writing fails', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    writeFileSync(file, 'old');

    const fails = writeAtomically(file, () => Promise.reject(full('ENOSPC')), neverAborted);

    await assert.rejects(fails, { code: 'DISK_FULL' });
    assert.equal(readFileSync(file, 'utf8'), 'old');
    assert.deepEqual(readdirSync(folder.path), ['a']);
  });

  it('says CONFIGURATION_INVALID when the cache folder is none', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    writeFileSync(file, '');

    const fails = writeAtomically(path.join(file, 'b/c'), (h) => h.writeFile(''), neverAborted);

    await assert.rejects(fails, { code: 'CONFIGURATION_INVALID' });
  });

  it('leaves nothing when it is given up', async () => {
    using folder = temporaryFolder();
    const reason = new Error('given up');
    const file = path.join(folder.path, 'a');

    const fails = writeAtomically(file, (h) => h.writeFile('x'), AbortSignal.abort(reason));

    await assert.rejects(fails, reason);
    assert.deepEqual(readdirSync(folder.path), []);
  });

  it('lets several writers of one file all succeed', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');

    await Promise.all(
      [1, 2, 3, 4].map(() => writeAtomically(file, (h) => h.writeFile('same'), neverAborted)),
    );

    assert.equal(readFileSync(file, 'utf8'), 'same');
    assert.deepEqual(readdirSync(folder.path), ['a']);
  });

  it('removes what a writer that died left long ago, not what one writes now', async () => {
    using folder = temporaryFolder();
    const [old, young] = ['x.1.tmp', 'x.2.tmp'].map((name) => path.join(folder.path, name));
    writeFileSync(old!, '');
    writeFileSync(young!, '');
    utimesSync(old!, 0, 0);

    await writeAtomically(path.join(folder.path, 'a'), (h) => h.writeFile(''), neverAborted);

    assert.deepEqual(readdirSync(folder.path).sort(), ['a', 'x.2.tmp']);
  });
});

describe('makeFolder', () => {
  it('makes a folder with its parents, and minds none that is there', async () => {
    using folder = temporaryFolder();
    const deep = path.join(folder.path, 'a/b/c');

    await Promise.all([makeFolder(deep), makeFolder(deep)]);

    assert.deepEqual(readdirSync(path.dirname(deep)), ['c']);
  });

  it('fails where no folder can be', async () => {
    using folder = temporaryFolder();
    symlinkSync('nowhere', path.join(folder.path, 'broken'));
    writeFileSync(path.join(folder.path, 'file'), '');

    const inBroken = makeFolder(path.join(folder.path, 'broken/a'));
    await assert.rejects(inBroken, { code: 'ENOENT' });
    await assert.rejects(makeFolder(path.join(folder.path, 'file/a')), { code: 'ENOTDIR' });
  });
});

describe('asDiskError', () => {
  it('keeps what has nothing to do with the folder', () => {
    const err = full('EIO');

    assert.equal(asDiskError(err, 'file'), err);
  });
});
