// What the docs say is supported, against the code.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { architectures } from '../../server/onnx/arch/registry.ts';
import { parseRope } from '../../server/onnx/arch/rope-config.ts';
import { activationNames } from '../../server/onnx/blocks/mlp.ts';

const text = readFileSync('docs/architectures.md', 'utf8');
const [table = ''] = text.split('## What may vary');

/** `names` of a paragraph that starts with **title**. */
function listed(title: string): string[] {
  const from = text.indexOf(`**${title}**`);
  assert.ok(from > 0, `no paragraph "${title}"`);
  const [paragraph = ''] = text.slice(from).split('\n- ');
  return [...paragraph.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
}

describe('docs/architectures.md', () => {
  it('lists the architectures of the registry, each in the column of its task', () => {
    const rows = table.split('\n').filter((line) => /^\| [A-Z]/.test(line));
    const found = rows.flatMap((row) => {
      const [, , logProbs = '', reward = ''] = row.split('|');
      const names = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
      return [
        ...names(logProbs).map((name) => `${name}: LogProbs`),
        ...names(reward).map((name) => `${name}: Reward`),
      ];
    });

    const expected = Object.entries(architectures).map(([name, [, task]]) => `${name}: ${task}`);
    assert.deepEqual(found.sort(), expected.sort());
  });

  it('lists the activations', () => {
    assert.deepEqual(listed('Activations').sort(), [...activationNames].sort());
  });

  it('lists the scalings of the rope', () => {
    const words = new Set(listed('Rope'));

    assert.throws(
      () => parseRope({ rope_scaling: { type: 'none' } }, { positions: 1, headDim: 2 }),
      (err: Error) => {
        const [, names = ''] = err.message.split('only ');
        const missing = names.split(', ').filter((name) => !words.has(name));
        assert.deepEqual(missing, []);
        return names.length > 0;
      },
    );
  });
});
