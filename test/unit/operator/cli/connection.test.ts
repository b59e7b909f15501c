import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readArguments } from '../../../../common/command.ts';
import { connect, connectionOptions, fullName } from '../../../../operator/cli/connection.ts';

const source = (...argv: string[]) => {
  const spec = { name: 'x', takes: '', about: '', options: connectionOptions };
  const args = readArguments(spec, argv) ?? assert.fail('no arguments');
  return connect(args);
};

describe('what a command asks', () => {
  it('is the address that is given, models being named in full or by namespace', async () => {
    using plain = await source('--url', 'http://127.0.0.1:1');
    using named = await source('--url', 'http://127.0.0.1:1', '-n', 'rl');

    assert.equal(fullName('tiny', plain), 'default/tiny');
    assert.equal(fullName('tiny', named), 'rl/tiny');
    assert.equal(fullName('a/b', named), 'a/b');
  });

  it('gets a token by an address only, since the API server hands none on', async () => {
    await assert.rejects(source('--token-file', 'x'), { code: 'USAGE' });
  });
});
