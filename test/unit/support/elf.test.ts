import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { sharedLibrary } from '../../support/elf.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const hasReadelf = spawnSync('readelf', ['--version']).status === 0;
const skip = hasReadelf ? false : 'there is no readelf on this machine';

it('libraries of tests read well to readelf', { skip }, () => {
  using folder = temporaryFolder();
  const file = path.join(folder.path, 'lib.so');
  writeFileSync(file, sharedLibrary({ needed: ['liba.so.1', 'libb.so'], constants: 'hello' }));

  const { stdout } = spawnSync('readelf', ['-dW', file], { encoding: 'utf8' });
  const sections = spawnSync('readelf', ['-SW', file], { encoding: 'utf8' }).stdout;

  assert.match(stdout, /NEEDED.*\[liba\.so\.1\][^]*NEEDED.*\[libb\.so\]/);
  assert.match(sections, /\.rodata/);
});
