// What is compiled, against what the image build and the Makefile know of: neither runs in these tests.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const { include } = JSON.parse(readFileSync('tsconfig.build.json', 'utf8')) as {
  include: string[];
};
const containerfile = readFileSync('Containerfile', 'utf8');
const [, watched = ''] = /\$\(shell find (.*?) -name/.exec(readFileSync('Makefile', 'utf8')) ?? [];
const [, words = ''] = /^dist\/\.built: (.*)$/m.exec(readFileSync('Makefile', 'utf8')) ?? [];

describe('what is compiled', () => {
  for (const source of include) {
    it(`${source} is copied into the image build`, () => {
      const copies = containerfile.split('\n').filter((line) => line.startsWith('COPY '));
      assert.ok(copies.some((line) => line.split(' ').slice(1, -1).includes(source)));
    });

    it(`a change of ${source} makes the Makefile build again`, () => {
      assert.ok([...watched.split(' '), ...words.split(' ')].includes(source));
    });
  }
});
