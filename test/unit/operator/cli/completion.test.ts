import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { optionsIn, scripts } from '../../../../operator/cli/completion.ts';
import { usage } from '../../../../operator/cli/status.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const run = promisify(execFile);
const words = [
  { name: 'status', summary: "what's warm", options: optionsIn(usage) },
  { name: 'stop', summary: 'x', options: [] },
];

/** The line that a shell makes of one when somebody presses Tab, where only one completion is possible. */
const completes = {
  async bash(script: string, line: string) {
    const typed = line.split(' ');
    const program = `source "$1"; COMP_WORDS=("\${@:2}"); COMP_CWORD=$(($# - 2)); _refmodel
      echo "\${COMP_WORDS[@]:0:COMP_CWORD}" "\${COMPREPLY[@]}"`;
    return (await run('bash', ['--norc', '-c', program, 'bash', script, ...typed])).stdout.trim();
  },
  /** Typed into an interactive zsh in a terminal of its own: its completion needs the line editor. */
  async zsh(script: string, line: string) {
    const program = `zmodload zsh/zpty
      zpty shell "zsh -f -i"
      zpty -w shell "autoload -Uz compinit; compinit -u -D; source '$1'"
      zpty -w shell 'said() { print -r -- "<$BUFFER>"; exit }; zle -N said; bindkey "^X" said'
      zpty -w -n shell "$2"$'\\t\\x18'
      while zpty -r shell line; do print -r -- "$line"; done`;
    const { stdout } = await run('zsh', ['-f', '-c', program, 'zsh', script, line]);
    return /<(.+?) *>/.exec(stdout.slice(stdout.lastIndexOf('<refmodel')))?.[1];
  },
  async fish(script: string, line: string) {
    const program = 'source $argv[1]; complete -C $argv[2]';
    const { stdout } = await run('fish', ['--no-config', '-c', program, script, line]);
    const [found] = stdout.split('\t');
    return [...line.split(' ').slice(0, -1), found].join(' ');
  },
};

describe('shell completion', () => {
  it('finds the options of a help text', () => {
    const names = optionsIn(usage).map(({ name }) => name);

    assert.deepEqual(names, [
      '--url',
      '--namespace',
      '--context',
      '--token-file',
      '--system-namespace',
      '--watch',
      '--exit-code',
      '--json',
      '--help',
    ]);
    assert.ok(optionsIn(usage).every(({ help }) => help !== ''));
  });

  for (const [shell, complete] of Object.entries(completes)) {
    const isThere = spawnSync(shell, ['--version']).status === 0;
    it(`completes commands and options in a real ${shell}`, {
      skip: !isThere && `no ${shell}`,
    }, async () => {
      using folder = temporaryFolder();
      const script = join(folder.path, 'script');
      writeFileSync(script, scripts[shell as keyof typeof completes](words));

      assert.equal(await complete(script, 'refmodel sta'), 'refmodel status');
      assert.equal(await complete(script, 'refmodel status --na'), 'refmodel status --namespace');
    });
  }

  for (const shell of ['zsh', 'fish'] as const) {
    it(`quotes what ${shell} would read as its own`, () => {
      assert.match(scripts[shell](words), /what'\\''s warm/);
    });
  }
});
