// The layout that CONTRIBUTING promises: a unit test at the mirrored path of every source file that does something.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';

/** Types and schemas; what uses them is tested. */
const declarations = new Set([
  'operator/controller/resources/pool-plan.ts',
  'operator/gateway/backend.ts',
  'operator/gateway/console/contract.ts',
  'server/api/native/options.ts',
  'server/contract.ts',
  'server/model/cache/observer.ts',
  'server/model/protocol.ts',
  'server/model/scoring.ts',
  'server/text/protocol.ts',
]);

const sources = ['common', 'crds', 'operator', 'server'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`),
);

describe('every source file', () => {
  for (const source of sources) {
    if (declarations.has(source)) continue;
    const test = `test/unit/${source.replace(/\.ts$/, '.test.ts')}`;
    it(`${source} has ${test}`, () => assert.equal(existsSync(test), true));
  }
});
