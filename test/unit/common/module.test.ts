import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modulePath } from '../../../common/module.ts';

describe('modulePath', () => {
  it('names the sibling with the extension of the caller: source or built', () => {
    assert.equal(modulePath('file:///a/b/main.ts', './runner'), '/a/b/runner.ts');
    assert.equal(modulePath('file:///a/b/main.js', '../c/runner'), '/a/c/runner.js');
  });
});
