import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  assertRepo,
  assertRevision,
  isCommit,
  isFileName,
} from '../../../../../server/model/hub/names.ts';

const passes = (check: () => void): boolean => {
  try {
    check();
    return true;
  } catch {
    return false;
  }
};

describe('assertRepo', () => {
  for (const repo of ['meta-llama/Llama-3.1-8B', 'Qwen/Qwen3-0.6B', 'a/b', '_a/b_c']) {
    it(`takes ${repo}`, () => assertRepo(repo));
  }
  const wrong = ['a', 'a/b/c', '/a/b', 'a/', '../a', 'a/..', 'a/b--c', 'a--b/c', 'a/.b', 'a/b?c'];
  for (const repo of [...wrong, 'a/b\n', `a/${'b'.repeat(97)}`, 'a\\b/c']) {
    it(`refuses ${JSON.stringify(repo)}`, () => {
      assert.throws(() => assertRepo(repo), { code: 'HUB_REPO_NOT_FOUND' });
    });
  }
});

describe('assertRevision', () => {
  for (const revision of ['main', 'v1.0', 'refs/pr/1', 'a+b', 'f'.repeat(40)]) {
    it(`takes ${revision}`, () => assertRevision(revision));
  }
  for (const revision of [
    '',
    '.',
    '..',
    'a/../b',
    '/a',
    'a/',
    'a//b',
    '-a',
    'a b',
    'a\0',
    'x.lock',
    'a'.repeat(201),
  ]) {
    it(`refuses ${JSON.stringify(revision)}`, () => {
      assert.throws(() => assertRevision(revision), { code: 'HUB_REVISION_NOT_FOUND' });
    });
  }
});

describe('names that are taken', () => {
  const anything = fc.oneof(
    fc.string(),
    fc
      .array(fc.constantFrom('a', '.', '..', '/', '\\', '%2e', '-', '--', '\0'))
      .map((p) => p.join('')),
  );

  it('never lead out of the folder they are put into', () => {
    fc.assert(
      fc.property(anything, (name) => {
        const isTaken =
          passes(() => assertRepo(name)) || passes(() => assertRevision(name)) || isFileName(name);
        if (!isTaken) return;
        const inside = path.posix.join('/root/folder', name);
        assert.equal(inside, `/root/folder/${name}`, name);
      }),
    );
  });
});

describe('isCommit', () => {
  it('knows a full sha from a name', () => {
    assert.equal(isCommit('0123456789abcdef0123456789abcdef01234567'), true);
    assert.equal(isCommit('0123456'), false);
    assert.equal(isCommit('main'), false);
  });
});

describe('isFileName', () => {
  it('takes files right in the folder only', () => {
    assert.equal(isFileName('model-00001-of-00002.safetensors'), true);
    for (const name of ['a/b.json', '../x', '.gitattributes', '', 'a..b', 'a b'])
      assert.equal(isFileName(name), false, name);
  });
});
