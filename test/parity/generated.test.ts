// Generated files against their source.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { generated } from '../../scripts/generate.ts';

describe('generated files', () => {
  for (const [path, content] of generated()) {
    it(`${path} matches its source`, () => assert.equal(readFileSync(path, 'utf8'), content));
  }
});
