import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { main, usage } from '../../../../operator/cli/wake.ts';

// What it does with a gateway: test/integration/command-line.test.ts.
describe('refmodel wake', () => {
  it('tells of its time in its help', () => {
    assert.match(usage, /--timeout SECONDS/);
  });

  for (const argv of [[], ['a', 'b'], ['a', '--timeout', 'long'], ['a', '--timeout', '0']]) {
    it(`refuses "${argv.join(' ')}" as wrong use`, async () => {
      await assert.rejects(main({}, argv), { code: 'USAGE' });
    });
  }
});
