import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { optionsIn, scripts } from '../../../../operator/cli/completion.ts';
import { usage } from '../../../../operator/cli/status.ts';

const run = promisify(execFile);
const words = [
  { name: 'status', summary: "what's warm", options: optionsIn(usage) },
  { name: 'stop', summary: 'x', options: [] },
];

describe('shell completion', () => {
  it('finds the options of a help text', () => {
    const names = optionsIn(usage).map(({ name }) => name);

    assert.deepEqual(names, [
      '--url',
      '--namespace',
      '--context',
      '--system-namespace',
      '--watch',
      '--exit-code',
      '--json',
      '--help',
    ]);
    assert.ok(optionsIn(usage).every(({ help }) => help !== ''));
  });

  it('completes commands and options in a real bash', async () => {
    const complete = async (...typed: string[]) => {
      const line = `${scripts.bash(words)}
COMP_WORDS=(refmodel ${typed.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${typed.length}
_refmodel; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await run('bash', ['--norc', '-c', line])).stdout.trim().split('\n');
    };

    assert.deepEqual(await complete('sta'), ['status']);
    assert.deepEqual(await complete('status', '--na'), ['--namespace']);
  });

  for (const shell of ['zsh', 'fish'] as const) {
    const isThere = spawnSync(shell, ['--version']).status === 0;
    it(`is a script that ${shell} can read`, { skip: !isThere && `no ${shell}` }, async () => {
      await run(shell, ['-n', '-c', scripts[shell](words)]);
    });

    it(`quotes what ${shell} would read as its own`, () => {
      assert.match(scripts[shell](words), /what'\\''s warm/);
    });
  }
});
