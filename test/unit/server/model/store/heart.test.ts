import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Heart } from '../../../../../server/model/store/heart.ts';
import { eventually } from '../../../../support/eventually.ts';
import { neverAborted } from '../../../../support/store-kit.ts';
import { temporaryFolder } from '../../../../support/temporary-folder.ts';

const staleMs = 100;

function world() {
  const folder = temporaryFolder();
  const create = (name: string) => {
    const file = path.join(folder.path, name);
    writeFileSync(file, '');
    return file;
  };
  const time = (file: string) => statSync(file, { bigint: true }).mtimeNs;
  const seesSign = (file: string) => {
    const before = time(file);
    return eventually(() => assert.ok(time(file) > before, 'no sign was given'));
  };
  return { ...folder, create, time, seesSign };
}

describe('Heart', () => {
  it('gives signs for each of its files until it is told to stop', async () => {
    using test = world();
    const heart = new Heart(staleMs);
    const [a, b] = [test.create('a'), test.create('b')];
    const stop = new AbortController();
    const first = heart.beat(a, stop.signal);
    const second = heart.beat(b, stop.signal);

    await Promise.all([test.seesSign(a), test.seesSign(b)]);
    await Promise.all([test.seesSign(a), test.seesSign(b)]);

    stop.abort();
    await Promise.all([first, second]);
  });

  it('gives signs while the event loop is blocked', async () => {
    using test = world();
    const stop = new AbortController();
    const file = test.create('a');
    const beating = new Heart(staleMs).beat(file, stop.signal);
    await test.seesSign(file);
    const before = test.time(file);

    const end = Date.now() + 30_000;
    while (test.time(file) === before && Date.now() < end) continue;

    assert.ok(test.time(file) > before, 'no sign was given');
    stop.abort();
    await beating;
  });

  it('ends when a file is gone, and for that file only', async () => {
    using test = world();
    const heart = new Heart(staleMs);
    const [a, b] = [test.create('a'), test.create('b')];
    const stop = new AbortController();
    const other = heart.beat(b, stop.signal);
    const beating = heart.beat(a, neverAborted);
    rmSync(a);

    await beating;

    await test.seesSign(b);
    stop.abort();
    await other;
  });

  it('gives no sign for what it was told to stop before', async () => {
    using test = world();

    await new Heart(staleMs).beat(test.create('a'), AbortSignal.abort());
  });

  it('may begin again for a file that it had before', async () => {
    using test = world();
    const heart = new Heart(staleMs);
    const file = test.create('a');
    const beating = heart.beat(file, neverAborted);
    renameSync(file, `${file}.away`);
    await beating;
    renameSync(`${file}.away`, file);
    const stop = new AbortController();

    const again = heart.beat(file, stop.signal);

    await test.seesSign(file);
    stop.abort();
    await again;
  });
});
