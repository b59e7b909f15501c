import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { digestFiles } from '../../../../server/model/digest.ts';
import { neverAborted } from '../../../support/engine-kit.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

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
      folder.path,
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
    const first = await digestFiles(files, folder.path, neverAborted);
    const remembered = path.join(folder.path, 'digests', readdirSync(`${folder.path}/digests`)[0]!);
    const writtenAt = statSync(remembered, { bigint: true }).mtimeNs;

    const again = await digestFiles(files, folder.path, neverAborted);

    assert.equal(again, first);
    assert.equal(statSync(remembered, { bigint: true }).mtimeNs, writtenAt);
  });

  it('notices other content of the same size under the same time of change', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    const files = new Map([['a', file]]);
    writeFileSync(file, 'first');
    const { atime, mtime } = statSync(file);
    const first = await digestFiles(files, folder.path, neverAborted);

    writeFileSync(file, 'other');
    utimesSync(file, atime, mtime);

    assert.notEqual(await digestFiles(files, folder.path, neverAborted), first);
  });

  it('does not trust a memory that does not parse', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    const files = new Map([['a', file]]);
    writeFileSync(file, 'first');
    const first = await digestFiles(files, folder.path, neverAborted);
    const name = readdirSync(`${folder.path}/digests`)[0]!;

    writeFileSync(path.join(folder.path, 'digests', name), '{"version":');

    assert.equal(await digestFiles(files, folder.path, neverAborted), first);
  });

  it('stops when it is given up', async () => {
    using folder = temporaryFolder();
    const file = path.join(folder.path, 'a');
    writeFileSync(file, 'first');
    const reason = new Error('given up');

    const fails = digestFiles(new Map([['a', file]]), folder.path, AbortSignal.abort(reason));

    await assert.rejects(fails, reason);
  });
});
