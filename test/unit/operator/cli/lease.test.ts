import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { readArguments } from '../../../../common/command.ts';
import { callOf } from '../../../../operator/cli/lease.ts';
import { openSource } from '../../../../operator/cli/source.ts';

const source = await openSource({
  token: undefined,
  url: 'http://127.0.0.1:1',
  namespace: 'rl',
  context: undefined,
  system: 'x',
  clock: systemClock,
});
const options = { ttl: { value: 'SECONDS', help: '' } };
const call = (...argv: string[]) => {
  const args = readArguments({ name: 'lease', takes: '', about: '', options }, argv);
  return callOf(args ?? assert.fail('no arguments'), source);
};

describe('refmodel lease', () => {
  it('takes, releases and lists as the API does', () => {
    assert.deepEqual(call('take', 'run 1', 'a', 'x/b', '--ttl', '60'), {
      method: 'PUT',
      path: '/v1/leases/run%201',
      body: { models: ['rl/a', 'x/b'], ttl_seconds: 60 },
    });
    assert.deepEqual(call('release', 'run'), { method: 'DELETE', path: '/v1/leases/run' });
    assert.deepEqual(call('list'), { method: 'GET', path: '/v1/leases' });
  });

  for (const argv of [[], ['take'], ['take', 'run'], ['release'], ['list', 'x'], ['burn', 'run']]) {
    it(`refuses "${argv.join(' ')}" as wrong use`, () => {
      assert.throws(() => call(...argv), { code: 'USAGE' });
    });
  }

  it('refuses a time that is none', () => {
    assert.throws(() => call('take', 'run', 'a', '--ttl', 'soon'), { code: 'USAGE' });
  });
});
