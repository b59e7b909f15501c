import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { digestFiles } from '../../../../../server/model/checkpoint/digest.ts';
import { neverAborted } from '../../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const options = (cacheDir: string) => ({ cacheDir, onBytes: () => {} });

describe('digestFiles', () => {
  it('is the SHA-256 of what sha256sum prints for the files in order of their names', async () => {
    using folder = temporaryFolder();
    const [a, b] = ['a', 'b'].map((name) => path.join(folder.path, name)) as [string, string];
    writeFileSync(a, 'first');
    writeFileSync(b, 'second');

    const digest = await digestFiles(
      new Map([
        ['b', b],
        ['a', a],
      ]),
      options(folder.path),
      neverAborted,
    );

    const lines = `${sha256('first')}  a\n${sha256('second')}  b\n`;
    assert.equal(digest, `sha256:${sha256(lines)}`);
  });

  it('reads a file again only when it has changed', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    const files = new Map([['a', file]]);
    writeFileSync(file, 'first');
    const first = await digestFiles(files, options(folder.path), neverAborted);
    const remembered = path.join(folder.path, 'digests', readdirSync(`${folder.path}/digests`)[0]!);
    const writtenAt = statSync(remembered, { bigint: true }).mtimeNs;

    const again = await digestFiles(files, options(folder.path), neverAborted);

    assert.equal(again, first);
    assert.equal(statSync(remembered, { bigint: true }).mtimeNs, writtenAt);
  });

  it('notices other content of the same size under the same time of change', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    const files = new Map([['a', file]]);
    writeFileSync(file, 'first');
    const { atime, mtime } = statSync(file);
    const first = await digestFiles(files, options(folder.path), neverAborted);

    writeFileSync(file, 'other');
    utimesSync(file, atime, mtime);

    assert.notEqual(await digestFiles(files, options(folder.path), neverAborted), first);
  });

  it('does not trust a memory that does not parse', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    const files = new Map([['a', file]]);
    writeFileSync(file, 'first');
    const first = await digestFiles(files, options(folder.path), neverAborted);
    const name = readdirSync(`${folder.path}/digests`)[0]!;

    writeFileSync(path.join(folder.path, 'digests', name), '{"version":');

    assert.equal(await digestFiles(files, options(folder.path), neverAborted), first);
  });

  it('tells how many bytes it hashes, and none of what it remembers', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    writeFileSync(file, 'first');
    let bytes = 0;
    const cache = { cacheDir: folder.path, onBytes: (more: number) => void (bytes += more) };

    for (let i = 0; i < 2; i++) await digestFiles(new Map([['a', file]]), cache, neverAborted);

    assert.equal(bytes, 5);
  });

  it('forgets what was hashed longest ago when it remembers too much', async () => {
    using folder = temporaryFolder();
    const remembered = path.join(folder.path, 'digests');
    mkdirSync(remembered);
    for (let i = 0; i < 4096; i++) {
      writeFileSync(path.join(remembered, `${i}.json`), '');
      utimesSync(path.join(remembered, `${i}.json`), i, i);
    }
    const file = path.join(folder.path, 'a');
    writeFileSync(file, 'first');

    await digestFiles(new Map([['a', file]]), options(folder.path), neverAborted);

    const names = readdirSync(remembered);
    assert.equal(names.length, 3072);
    assert.equal(names.includes('4095.json') && !names.includes('0.json'), true);
    assert.equal(names.includes(`${sha256(file)}.json`), true);
  });

  it('stops when it is given up', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    writeFileSync(file, 'first');
    const reason = new Error('given up');

    const fails = digestFiles(
      new Map([['a', file]]),
      options(folder.path),
      AbortSignal.abort(reason),
    );

    await assert.rejects(fails, reason);
  });
});
